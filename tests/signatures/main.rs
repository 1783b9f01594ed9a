//! Signatures, as those see them who verify: with the libraries that others have published for Stripe, for Standard
//! Webhooks, for Svix and for GitHub, and with the snippets of the product pages.

use std::collections::BTreeMap;
use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::{Arc, OnceLock};
use std::{env, thread};

use postgres::Client;
use serde_json::json;
use testkit::cluster::{Cluster, wait_until};
use testkit::receiver::{Answer, Receiver, Request, Signature};
use testkit::{PATIENCE, ask, run, start_shared_cluster, subscribe};

const PATH: &str = "/in";

fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| start_shared_cluster(&[]))
}

struct Bench {
    client: Client,
    receiver: Receiver,
    subscription: i64,
    secret: String,
}

impl Bench {
    fn new(database: &str, more: &[&str]) -> Bench {
        let mut client = cluster().create_database(database);
        let receiver = Receiver::start();
        let (subscription, secret) = subscribe(&mut client, &receiver.url(PATH), "ticket.created", more);
        Bench { client, receiver, subscription, secret }
    }

    /// The request for one more event.
    fn request(&mut self) -> Arc<Request> {
        let count = self.receiver.received(PATH) + 1;
        run(&mut self.client, r#"SELECT hydra.webhook_emit('ticket.created', '{"id": 7, "subject": "Größe: 5 €"}')"#);
        self.receiver.wait_for(PATH, count, PATIENCE).last().expect("it was waited for").clone()
    }

    fn rotate(&mut self, overlap: &str) -> String {
        ask(&mut self.client, &format!("SELECT hydra.webhook_rotate_secret({}, '{overlap}')", self.subscription))
    }
}

/// A way to sign, as far as forging it goes: names of headers, and what stands before the value in them.
#[derive(Debug)]
struct Scheme {
    signature: (&'static str, &'static str),
    time: Option<(&'static str, &'static str)>,
    id: Option<&'static str>,
    /// The key is the whole secret, `whsec_` included.
    whole_secret: bool,
}

const HYDRA: Scheme = Scheme {
    signature: ("x-hydra-signature", "v1="),
    time: Some(("x-hydra-signature", "t=")),
    id: None,
    whole_secret: true,
};
const X_WEBHOOK: Scheme = Scheme {
    signature: ("x-webhook-signature", "sha256="),
    time: Some(("x-webhook-timestamp", "")),
    id: None,
    whole_secret: true,
};
const STANDARD: Scheme = Scheme {
    signature: ("webhook-signature", "v1,"),
    time: Some(("webhook-timestamp", "")),
    id: Some("webhook-id"),
    whole_secret: false,
};
const GITHUB: Scheme =
    Scheme { signature: ("x-hub-signature-256", "sha256="), time: None, id: None, whole_secret: true };

/// What a verifier is shown.
#[derive(Clone, Debug)]
struct Case {
    body: String,
    /// By their names in lower case, as web frameworks have them.
    headers: BTreeMap<String, String>,
    secret: String,
}

impl Case {
    fn of(request: &Request, secret: &str) -> Case {
        let headers = request.headers.iter().map(|(name, value)| (name.to_ascii_lowercase(), value.clone()));
        let headers: BTreeMap<_, _> = headers.collect();
        assert_eq!(headers.len(), request.headers.len(), "no header comes twice: {:?}", request.headers);
        Case { body: request.text().to_owned(), headers, secret: secret.to_owned() }
    }

    /// Each differs in one thing from what was sent.
    fn tampered(&self, scheme: &Scheme) -> Vec<Case> {
        let mut cases = vec![
            Case { body: self.body.replacen("ticket", "Ticket", 1), ..self.clone() },
            Case { body: format!("{} ", self.body), ..self.clone() },
            Case { secret: with_another_character(&self.secret, "whsec_"), ..self.clone() },
        ];
        let (name, mark) = scheme.signature;
        cases.push(self.with_header(name, |value| with_another_character(value, mark)));
        if let Some((name, mark)) = scheme.time {
            cases.push(self.with_header(name, |value| one_second_later(value, mark)));
        }
        if let Some(name) = scheme.id {
            cases.push(self.with_header(name, |value| with_another_character(value, "")));
        }
        // The libraries of Standard Webhooks take a secret without its prefix for the same one.
        if scheme.whole_secret {
            cases.push(Case { secret: self.secret.replacen("whsec_", "", 1), ..self.clone() });
        }
        cases
    }

    fn with_header(&self, name: &str, change: impl FnOnce(&str) -> String) -> Case {
        let mut case = self.clone();
        let value = case.headers.get_mut(name).unwrap_or_else(|| panic!("{name} is missing"));
        *value = change(value);
        case
    }
}

/// The character after the mark is another one. It is the first of a value, for in the last one of a base64 some bits
/// mean nothing.
fn with_another_character(text: &str, mark: &str) -> String {
    let (before, value) = around(text, mark);
    let other = if value.starts_with('0') { '1' } else { '0' };
    format!("{before}{other}{}", &value[1..])
}

/// Near enough to be refused for nothing but its signature.
fn one_second_later(text: &str, mark: &str) -> String {
    let (before, value) = around(text, mark);
    let end = value.find(|character: char| !character.is_ascii_digit()).unwrap_or(value.len());
    let (time, after) = value.split_at(end);
    let time: u64 = time.parse().expect("unix seconds");
    format!("{before}{}{after}", time + 1)
}

/// What stands before a value, its mark included, and the value with what follows it.
fn around<'a>(text: &'a str, mark: &str) -> (&'a str, &'a str) {
    let at = text.find(mark).unwrap_or_else(|| panic!("there is no {mark} in {text}"));
    text.split_at(at + mark.len())
}

#[derive(Debug)]
struct Verifier {
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

/// The code that the page *Webhooks* prints.
const PAGE: Verifier = Verifier { runtime: Runtime::Node, script: "page_snippet.js", package: None, scheme: HYDRA };
/// The code that the page *Webhook Overview* prints.
const OVERVIEW: Verifier =
    Verifier { runtime: Runtime::Php, script: "page_snippet.php", package: None, scheme: X_WEBHOOK };

const STRIPE_PYPI: Verifier = Verifier::pypi("stripe", HYDRA);
const STRIPE_NPM: Verifier = Verifier::npm("stripe", HYDRA);
const STANDARD_PYPI: Verifier = Verifier::pypi("standardwebhooks", STANDARD);
const STANDARD_NPM: Verifier = Verifier::npm("standardwebhooks", STANDARD);
const SVIX_PYPI: Verifier = Verifier::pypi("svix", STANDARD);
const SVIX_NPM: Verifier = Verifier::npm("svix", STANDARD);
const OCTOKIT_NPM: Verifier = Verifier::npm("@octokit/webhooks-methods", GITHUB);

/// They look for theirs among the signatures of a header, whichever place it has.
const READERS_OF_LISTS: [&Verifier; 6] =
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
    fn accepts(&self, cases: &[Case]) -> Vec<bool> {
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
        assert_eq!(verdicts.len(), cases.len(), "{self:?} answers each");
        verdicts
    }
}

/// `more` is what the subscription is made with.
#[track_caller]
fn assert_verifies_what_we_send_alone(verifier: &Verifier, database: &str, more: &[&str]) {
    let mut bench = Bench::new(database, more);
    let genuine = Case::of(&bench.request(), &bench.secret);
    let stranger = bench.rotate("0");
    assert_tells_forgeries(verifier, &genuine, &stranger);
}

/// `stranger` is a secret that did not sign.
#[track_caller]
fn assert_tells_forgeries(verifier: &Verifier, genuine: &Case, stranger: &str) {
    let mut cases = vec![genuine.clone()];
    cases.extend(genuine.tampered(&verifier.scheme));
    cases.push(Case { secret: stranger.to_owned(), ..genuine.clone() });
    let verdicts = verifier.accepts(&cases);
    assert!(verdicts[0], "{verifier:?} refuses {genuine:?}");
    assert!(verdicts[1..].iter().all(|accepted| !accepted), "{verifier:?} accepts a forgery: {verdicts:?}");
}

#[test]
fn the_python_library_of_stripe_accepts_our_requests_and_refuses_forged_ones() {
    assert_verifies_what_we_send_alone(&STRIPE_PYPI, "stripe_pypi", &[]);
}

#[test]
fn the_node_library_of_stripe_accepts_our_requests_and_refuses_forged_ones() {
    assert_verifies_what_we_send_alone(&STRIPE_NPM, "stripe_npm", &[]);
}

#[test]
fn the_python_library_of_standard_webhooks_accepts_our_requests_and_refuses_forged_ones() {
    assert_verifies_what_we_send_alone(&STANDARD_PYPI, "standard_pypi", &["preset => 'standard'"]);
}

#[test]
fn the_node_library_of_standard_webhooks_accepts_our_requests_and_refuses_forged_ones() {
    assert_verifies_what_we_send_alone(&STANDARD_NPM, "standard_npm", &["preset => 'standard'"]);
}

#[test]
fn the_python_library_of_svix_accepts_our_requests_and_refuses_forged_ones() {
    assert_verifies_what_we_send_alone(&SVIX_PYPI, "svix_pypi", &["preset => 'standard'"]);
}

#[test]
fn the_node_library_of_svix_accepts_our_requests_and_refuses_forged_ones() {
    assert_verifies_what_we_send_alone(&SVIX_NPM, "svix_npm", &["preset => 'standard'"]);
}

#[test]
fn the_node_library_of_github_accepts_our_requests_and_refuses_forged_ones() {
    assert_verifies_what_we_send_alone(&OCTOKIT_NPM, "octokit_npm", &["signatures => '{github}'"]);
}

#[test]
fn the_snippet_of_the_page_webhooks_accepts_our_requests_and_refuses_forged_ones() {
    assert_verifies_what_we_send_alone(&PAGE, "page", &[]);
}

#[test]
fn the_snippet_of_the_page_webhook_overview_accepts_our_requests_and_refuses_forged_ones() {
    assert_verifies_what_we_send_alone(&OVERVIEW, "overview", &["preset => 'x_webhook'"]);
}

#[test]
fn a_retry_verifies_as_well_as_the_first_attempt() {
    let mut bench = Bench::new("retry", &["retry_schedule => '{1.1 s}'"]);
    bench.receiver.answer_first(PATH, 1, Answer::status(500));
    bench.request();
    let requests = bench.receiver.wait_for(PATH, 2, PATIENCE);
    let cases: Vec<Case> = requests.iter().map(|request| Case::of(request, &bench.secret)).collect();
    let [first, second] = [&cases[0], &cases[1]].map(|case| &case.headers["x-hydra-signature"]);
    assert_ne!(first, second, "it is signed anew");
    assert_eq!(STRIPE_PYPI.accepts(&cases), [true, true]);
    assert_eq!(PAGE.accepts(&cases), [true, true]);
}

#[test]
fn during_an_overlap_holders_of_the_old_secret_and_of_the_new_one_accept() {
    let mut bench = Bench::new("overlap", &["signatures => '{hydra,standard}'"]);
    let (old, new) = (bench.secret.clone(), bench.rotate("1 hour"));
    let request = bench.request();
    // The page's snippet keeps the last value of a header: there the old secret has to sign.
    assert_eq!(PAGE.accepts(&[Case::of(&request, &old)]), [true]);
    let cases = [&old, &new].map(|secret| Case::of(&request, secret));
    for library in READERS_OF_LISTS {
        assert_eq!(library.accepts(&cases), [true, true], "{library:?}");
    }

    // A rotation without an overlap ends earlier ones too.
    let newest = bench.rotate("0");
    let request = bench.request();
    let cases = [&old, &new, &newest].map(|secret| Case::of(&request, secret));
    assert_eq!(PAGE.accepts(&cases), [false, false, true]);
    for library in READERS_OF_LISTS {
        assert_eq!(library.accepts(&cases), [false, false, true], "{library:?}");
    }
}

#[test]
fn when_an_overlap_is_over_the_old_secret_no_longer_signs() {
    let mut bench = Bench::new("overlap_ends", &[]);
    let (old, new) = (bench.secret.clone(), bench.rotate("1.5 s"));
    let request = bench.request();
    assert_eq!([&old, &new].map(|secret| request.signed_with(secret)), [Signature::Verified; 2]);
    wait_until("the old secret is out of use", PATIENCE, || bench.request().signed_with(&old) != Signature::Verified);
    assert_eq!(bench.request().signed_with(&new), Signature::Verified);
}

#[test]
fn a_request_can_carry_several_kinds_of_signature_and_whoever_reads_one_of_them_tells_forgeries() {
    let mut bench = Bench::new("several_kinds", &["signatures => '{hydra,standard,github}'"]);
    bench.receiver.secret(PATH, &bench.secret);
    let request = bench.request();
    // Our own receiver checks each of those that are there.
    assert_eq!(request.signature, Signature::Verified);
    assert_eq!(request.header("webhook-id"), request.header("X-Hydra-Delivery"));
    let genuine = Case::of(&request, &bench.secret);
    let stranger = bench.rotate("0");
    for verifier in READERS_OF_LISTS.into_iter().chain([&PAGE, &OCTOKIT_NPM]) {
        assert_tells_forgeries(verifier, &genuine, &stranger);
    }
}

#[test]
fn a_subscription_signs_in_the_kinds_that_it_names_and_in_no_other() {
    let mut bench = Bench::new("one_kind", &["signatures => '{standard}'"]);
    bench.receiver.secret(PATH, &bench.secret);
    let request = bench.request();
    assert_eq!(request.signature, Signature::Verified);
    assert!(request.header("webhook-signature").is_some());
    assert_eq!((request.header("X-Hydra-Signature"), request.header("X-Hub-Signature-256")), (None, None));
}
