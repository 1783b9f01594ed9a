//! Signatures, as those see them who verify: Stripe's own library, the snippet of the product page, and receivers that
//! hold to Standard Webhooks or to GitHub's header.

mod support;

use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::{Arc, OnceLock};
use std::{env, thread};

use postgres::Client;
use serde_json::json;

use support::cluster::{Cluster, wait_until};
use support::receiver::{Answer, Receiver, Request, Signature};
use support::{PATIENCE, ask, run, start_shared_cluster, subscribe};

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

/// What a verifier is shown.
#[derive(Clone)]
struct Case {
    body: String,
    header: String,
    secret: String,
}

impl Case {
    fn of(request: &Request, secret: &str) -> Case {
        let header = request.header("X-Hydra-Signature").expect("it is signed").to_owned();
        Case { body: request.text().to_owned(), header, secret: secret.to_owned() }
    }

    /// Each differs in one thing from what was sent.
    fn tampered(&self) -> Vec<Case> {
        let (time, value) = self.header.strip_prefix("t=").and_then(|rest| rest.split_once(",v1=")).expect("its form");
        let seconds: u64 = time.parse().expect("unix seconds");
        let digit = if value.starts_with('0') { '1' } else { '0' };
        vec![
            Case { body: self.body.replacen("ticket", "Ticket", 1), ..self.clone() },
            Case { body: format!("{} ", self.body), ..self.clone() },
            Case { header: format!("t={},v1={value}", seconds + 1), ..self.clone() },
            Case { header: format!("t={time},v1={digit}{}", &value[1..]), ..self.clone() },
            Case { secret: self.secret.replacen("whsec_", "", 1), ..self.clone() },
        ]
    }
}

#[derive(Clone, Copy, Debug)]
enum Verifier {
    /// The official library, from PyPI.
    Stripe,
    /// The code that our product page prints.
    Page,
}

impl Verifier {
    fn command(self) -> Command {
        let file = |name| format!("{}/tests/verifiers/{name}", env!("CARGO_MANIFEST_DIR"));
        let (program, script) = match self {
            Verifier::Stripe => {
                let python = env::var_os("HYDRA_PYTHON").expect("HYDRA_PYTHON names a Python: run `make test`");
                (python, file("stripe_check.py"))
            }
            Verifier::Page => ("node".into(), file("page_snippet.js")),
        };
        let mut command = Command::new(program);
        command.arg(script);
        command
    }

    /// Which of them it accepts.
    fn accepts(self, cases: &[Case]) -> Vec<bool> {
        let mut child = self
            .command()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{self:?} cannot be started: {error}; run `make prepare`"));
        let mut input = child.stdin.take().expect("it is piped");
        let lines: String = cases
            .iter()
            .map(|case| format!("{}\n", json!({"body": case.body, "header": case.header, "secret": case.secret})))
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

#[track_caller]
fn assert_verifies_what_we_send_alone(verifier: Verifier, database: &str) {
    let mut bench = Bench::new(database, &[]);
    let genuine = Case::of(&bench.request(), &bench.secret);
    let stranger = bench.rotate("0");
    let mut cases = vec![genuine.clone()];
    cases.extend(genuine.tampered());
    cases.push(Case { secret: stranger, ..genuine });
    let verdicts = verifier.accepts(&cases);
    assert!(verdicts[0], "{verifier:?} refuses {}", cases[0].header);
    assert!(verdicts[1..].iter().all(|accepted| !accepted), "{verifier:?} accepts a forgery: {verdicts:?}");
}

#[test]
fn the_library_of_stripe_accepts_our_requests_and_refuses_forged_ones() {
    assert_verifies_what_we_send_alone(Verifier::Stripe, "stripe");
}

#[test]
fn the_snippet_of_our_page_accepts_our_requests_and_refuses_forged_ones() {
    assert_verifies_what_we_send_alone(Verifier::Page, "page");
}

#[test]
fn a_retry_verifies_as_well_as_the_first_attempt() {
    let mut bench = Bench::new("retry", &["retry_schedule => '{1.1 s}'"]);
    bench.receiver.answer_first(PATH, 1, Answer::status(500));
    bench.request();
    let requests = bench.receiver.wait_for(PATH, 2, PATIENCE);
    let cases: Vec<Case> = requests.iter().map(|request| Case::of(request, &bench.secret)).collect();
    assert_ne!(cases[0].header, cases[1].header, "it is signed anew");
    assert_eq!(Verifier::Stripe.accepts(&cases), [true, true]);
    assert_eq!(Verifier::Page.accepts(&cases), [true, true]);
}

#[test]
fn during_an_overlap_holders_of_the_old_secret_and_of_the_new_one_accept() {
    let mut bench = Bench::new("overlap", &[]);
    let (old, new) = (bench.secret.clone(), bench.rotate("1 hour"));
    let request = bench.request();
    // The page's snippet keeps the last value of a header: there the old secret has to sign.
    assert_eq!(Verifier::Page.accepts(&[Case::of(&request, &old)]), [true]);
    assert_eq!(Verifier::Stripe.accepts(&[Case::of(&request, &new), Case::of(&request, &old)]), [true, true]);

    // A rotation without an overlap ends earlier ones too.
    let newest = bench.rotate("0");
    let request = bench.request();
    let cases = [&old, &new, &newest].map(|secret| Case::of(&request, secret));
    assert_eq!(Verifier::Page.accepts(&cases), [false, false, true]);
    assert_eq!(Verifier::Stripe.accepts(&cases), [false, false, true]);
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
fn a_request_can_carry_every_kind_of_signature_and_all_of_them_verify() {
    let mut bench = Bench::new("all_kinds", &["signatures => '{hydra,standard,github}'"]);
    bench.receiver.secret(PATH, &bench.secret);
    let request = bench.request();
    for name in ["X-Hydra-Signature", "webhook-id", "webhook-timestamp", "webhook-signature", "X-Hub-Signature-256"] {
        assert!(request.header(name).is_some(), "{name} is missing");
    }
    // The receiver checks each of those that are there.
    assert_eq!(request.signature, Signature::Verified);
    assert_eq!(request.header("webhook-id"), request.header("X-Hydra-Delivery"));
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
