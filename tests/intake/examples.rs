//! The helpdesk takes in issues of GitHub, charges of Stripe and what curl sends: examples/helpdesk_inbound.sql.

use std::collections::BTreeMap;
use std::process::Command;

use postgres::SimpleQueryMessage;
use testkit::{Bench, Gateway};

use crate::cluster;
use crate::http::{Answer, post};
use crate::outside::{hmac, stripe_signature};

struct Desk<'a> {
    bench: Bench<'a>,
    gateway: Gateway,
    /// Paths of the adapters, by name.
    paths: BTreeMap<String, String>,
}

fn file(path: &str) -> String {
    let path = format!("{}/examples/{path}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

impl Desk<'_> {
    fn open(database: &str) -> Self {
        let mut bench = Bench::new(cluster(), database);
        bench.run(&file("helpdesk.sql"));
        let shown = bench.client.simple_query(&file("helpdesk_inbound.sql")).expect("the example can be run");
        let adapter = |message: &SimpleQueryMessage| match message {
            SimpleQueryMessage::Row(row) if row.columns()[0].name() == "adapter" => {
                let path = row.get("url")?.strip_prefix("https://desk.example")?;
                Some((row.get("adapter")?.to_owned(), path.to_owned()))
            }
            _ => None,
        };
        let paths = shown.iter().filter_map(adapter).collect();
        bench.run(
            "INSERT INTO helpdesk.accounts (tenant_id, name, lifecycle_stage) VALUES ('lumen', 'Birch', 'active');
             INSERT INTO helpdesk.customers (tenant_id, account_id, name, email, source)
             SELECT 'lumen', id, 'Mara', 'mara@birch.example', 'csv_import' FROM helpdesk.accounts",
        );
        bench.subscribe("/desk", "ticket.created,account.went_at_risk", &["max_in_flight => 1"]);
        let gateway = Gateway::start(&bench);
        Self { bench, gateway, paths }
    }

    fn post(&self, adapter: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let answer = post(&self.gateway.url(), &self.paths[adapter], headers, body.as_bytes());
        answer.unwrap_or_else(|error| panic!("{adapter}: {error}"))
    }

    fn github(&self, event: &str, delivery: &str, body: &str) -> Answer {
        let signature = format!("sha256={}", hmac("choose a long secret", body));
        let headers = [("x-github-event", event), ("x-github-delivery", delivery), ("x-hub-signature-256", &signature)];
        self.post("GitHub", &headers, body)
    }

    /// The newest ticket: subject, priority, and address of its customer.
    fn ticket(&mut self) -> String {
        self.bench.ask(
            "SELECT concat_ws(', ', t.subject, t.priority, c.email)
             FROM helpdesk.tickets AS t JOIN helpdesk.customers AS c ON c.id = t.customer_id
             ORDER BY t.id DESC LIMIT 1",
        )
    }
}

#[test]
fn the_helpdesk_takes_in_issues_charges_and_what_curl_sends() {
    let mut desk = Desk::open("desk");

    let url = format!("{}{}", desk.gateway.url(), desk.paths["curl"]);
    let form = r#"{"email": "Mara@birch.example", "subject": "The invoice is wrong"}"#;
    let sent = Command::new("curl")
        .args(["--silent", "--fail", "--header", "Idempotency-Key: 1", "--data", form, &url])
        .output();
    let sent = sent.expect("there is curl");
    assert!(sent.status.success(), "{sent:?}");
    assert_eq!(desk.ticket(), "The invoice is wrong, normal, mara@birch.example");

    let issue = r#"{"action": "opened", "issue": {"id": 9, "number": 4, "title": "It burns", "user": {"login": "tom"},
                   "labels": [{"name": "bug"}, {"name": "outage"}]}}"#;
    for expected in ["done", "done"] {
        assert_eq!(desk.github("issues", "a-1", issue).state(), expected);
    }
    assert_eq!(desk.ticket(), "It burns (#4), urgent, tom@users.noreply.github.com");

    let charge = r#"{"id": "evt_1", "type": "charge.failed", "data": {"object": {"id": "ch_1", "amount": 129900, "currency": "eur",
                    "failure_message": "Your card was declined.", "billing_details": {"email": "mara@birch.example", "name": "Mara"}}}}"#;
    let signature = stripe_signature("until Stripe shows its own", charge);
    assert_eq!(desk.post("Stripe", &[("stripe-signature", &signature)], charge).state(), "done");
    assert_eq!(desk.ticket(), "A charge of 1299.00 EUR failed: Your card was declined., high, mara@birch.example");

    // Three tickets, one of an issue that came twice, and an account at risk: what the flows did is sent like anything else.
    let requests = desk.bench.wait_for("/desk", 4);
    let events: Vec<&str> = requests.iter().filter_map(|request| request.header("X-Hydra-Event")).collect();
    assert_eq!(events, ["ticket.created", "ticket.created", "account.went_at_risk", "ticket.created"]);
    assert!(requests.iter().all(|request| request.header("X-Hydra-Hops") == Some("1")));
}

#[test]
fn what_the_helpdesk_cannot_use_is_kept_with_the_reason() {
    let mut desk = Desk::open("desk_reasons");
    // GitHub sends it when the webhook is made.
    assert_eq!(desk.github("ping", "p-1", r#"{"zen": "Keep it logically awesome."}"#).state(), "unmatched");
    let reason: String = desk.bench.ask("SELECT reason FROM hydra.inbound_events");
    assert_eq!(reason, "the mapping has no event for the type ping");

    // A form without a subject. The sender does not learn why it failed.
    let answer = desk.post("curl", &[], r#"{"email": "mara@birch.example"}"#);
    assert_eq!((answer.status, answer.state()), (202, "failed".to_owned()));
    assert!(!answer.body.contains("subject"), "{answer:?}");
    let error: String = desk.bench.ask("SELECT error FROM hydra.inbound_events WHERE state = 'failed'");
    assert!(error.starts_with("null value in column \"subject\""), "{error}");

    // Signed with another secret.
    let body = "{}";
    let signature = stripe_signature("another", body);
    assert_eq!(desk.post("Stripe", &[("stripe-signature", &signature)], body).status, 401);
    let refused: String = desk.bench.ask("SELECT last_refusal FROM hydra.inbound_adapters WHERE name = 'Stripe'");
    assert!(refused.contains("signature"), "{refused}");
    assert_eq!(desk.bench.ask::<i64>("SELECT count(*) FROM helpdesk.tickets"), 0);
}
