//! Libraries that others have published for Stripe, Standard Webhooks, Svix and GitHub, and the code that our
//! documentation prints.

use std::io::Write;
use std::process::{Command, Stdio};
use std::{env, thread};

use serde_json::json;

use crate::forgeries::{Case, GITHUB, HYDRA, STANDARD, Scheme, X_WEBHOOK};

#[derive(Debug)]
pub struct Verifier {
    runtime: Runtime,
    script: &'static str,
    package: Option<&'static str>,
    scheme: Scheme,
}

#[derive(Clone, Copy, Debug)]
enum Runtime {
    Python,
    Node,
    Php,
}

/// The code for Node that our documentation prints, for the preset `hydra`.
pub const PAGE: Verifier = Verifier { runtime: Runtime::Node, script: "page_snippet.js", package: None, scheme: HYDRA };
/// The code for PHP that our documentation prints, for the preset `x_webhook`.
pub const OVERVIEW: Verifier =
    Verifier { runtime: Runtime::Php, script: "page_snippet.php", package: None, scheme: X_WEBHOOK };

pub const STRIPE_PYPI: Verifier = Verifier::pypi("stripe", HYDRA);
pub const STRIPE_NPM: Verifier = Verifier::npm("stripe", HYDRA);
pub const STANDARD_PYPI: Verifier = Verifier::pypi("standardwebhooks", STANDARD);
pub const STANDARD_NPM: Verifier = Verifier::npm("standardwebhooks", STANDARD);
pub const SVIX_PYPI: Verifier = Verifier::pypi("svix", STANDARD);
pub const SVIX_NPM: Verifier = Verifier::npm("svix", STANDARD);
pub const OCTOKIT_NPM: Verifier = Verifier::npm("@octokit/webhooks-methods", GITHUB);

/// They accept a header if any of its signatures is genuine.
pub const READERS_OF_LISTS: [&Verifier; 6] =
    [&STRIPE_PYPI, &STRIPE_NPM, &STANDARD_PYPI, &STANDARD_NPM, &SVIX_PYPI, &SVIX_NPM];

impl Verifier {
    const fn pypi(package: &'static str, scheme: Scheme) -> Verifier {
        Verifier { runtime: Runtime::Python, script: "pypi_packages.py", package: Some(package), scheme }
    }

    const fn npm(package: &'static str, scheme: Scheme) -> Verifier {
        Verifier { runtime: Runtime::Node, script: "npm_packages.js", package: Some(package), scheme }
    }

    fn command(&self) -> Command {
        let prepared = |name: &str| env::var_os(name).unwrap_or_else(|| panic!("{name} is not set: run `make test`"));
        let program = match self.runtime {
            Runtime::Python => prepared("HYDRA_PYTHON"),
            Runtime::Node => "node".into(),
            Runtime::Php => "php".into(),
        };
        let mut command = Command::new(program);
        command.arg(format!("{}/tests/verifiers/{}", env!("CARGO_MANIFEST_DIR"), self.script)).args(self.package);
        if let (Runtime::Node, Some(_)) = (self.runtime, self.package) {
            command.env("NODE_PATH", prepared("HYDRA_NODE_MODULES"));
        }
        command
    }

    /// Which of them it accepts.
    pub fn accepts(&self, cases: &[Case]) -> Vec<bool> {
        let mut child = self
            .command()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{self:?} cannot be started: {error}; run `make prepare`"));
        let mut input = child.stdin.take().expect("it is piped");
        let lines: String = cases
            .iter()
            .map(|case| format!("{}\n", json!({"body": case.body, "headers": case.headers, "secret": case.secret})))
            .collect();
        let writer = thread::spawn(move || input.write_all(lines.as_bytes()));
        let output = child.wait_with_output().expect("it ends");
        writer.join().expect("no panic").expect("it reads all");
        assert!(output.status.success(), "{self:?} ended with {}", output.status);
        let verdicts = String::from_utf8(output.stdout).expect("words");
        let verdicts: Vec<bool> = verdicts
            .lines()
            .map(|verdict| match verdict {
                "ok" => true,
                "refused" => false,
                other => panic!("{self:?} said {other:?}"),
            })
            .collect();
        assert_eq!(verdicts.len(), cases.len(), "{self:?} answers each case");
        verdicts
    }
}

/// `stranger` is a secret that did not sign.
#[track_caller]
pub fn assert_refuses_forgeries(verifier: &Verifier, genuine: &Case, stranger: &str) {
    let mut cases = vec![genuine.clone()];
    cases.extend(genuine.tampered(&verifier.scheme));
    cases.push(Case { secret: stranger.to_owned(), ..genuine.clone() });
    let verdicts = verifier.accepts(&cases);
    assert!(verdicts[0], "{verifier:?} refuses {genuine:?}");
    assert!(verdicts[1..].iter().all(|accepted| !accepted), "{verifier:?} accepts a forgery: {verdicts:?}");
}
