//! `webhook_send_test`.

use std::thread;
use std::time::{Duration, Instant};

use postgres::{Client, NoTls};
use testkit::receiver::{Answer, Signature};
use testkit::{PATIENCE, refusal, wait_until};

use crate::{all_of, bench};

#[test]
fn a_test_request_returns_the_answer_at_once_and_leaves_no_trace() {
    let mut bench = bench("tested");
    let (id, _) =
        bench.subscribe("/", "ticket.created", &["tenant_id => 'acme'", "timeout => '3 s'", "log_successes => true"]);
    bench.run(&format!("SELECT hydra.webhook_pause({id})"));
    let before = all_of(&mut bench.client, id);
    let test = |client: &mut Client| -> (Option<i32>, Option<String>, i32, Option<String>) {
        let sql = format!("SELECT status_code, response_body, response_ms, error FROM hydra.webhook_send_test({id})");
        let row = client.query_one(&sql, &[]).expect("a row");
        (row.get(0), row.get(1), row.get(2), row.get(3))
    };

    bench.receiver.answer("/", Answer::status(201).with_body("thanks"));
    let (code, body, ms, error) = test(&mut bench.client);
    assert_eq!((code, body.as_deref(), error), (Some(201), Some("thanks"), None));
    assert!((0..60_000).contains(&ms));
    let request = bench.receiver.requests("/")[0].clone();
    assert_eq!(request.signature, Signature::Verified);
    assert_eq!(request.header("X-Hydra-Event"), Some("webhook.test"));
    let envelope = request.json();
    assert_eq!((&envelope["event"], &envelope["tenant_id"]), (&"webhook.test".into(), &"acme".into()));

    bench.receiver.answer("/", Answer::status(500).with_body("no\0thanks"));
    let (code, body, _, error) = test(&mut bench.client);
    assert_eq!((code, body.as_deref()), (Some(500), Some("nothanks")));
    assert!(error.expect("500 is a failure").contains("500"));
    bench.receiver.answer("/", Answer::redirect("https://example.com/"));
    assert_eq!(test(&mut bench.client).0, Some(302), "a redirect is not followed");
    bench.receiver.answer("/", Answer::gone());
    assert_eq!(test(&mut bench.client).0, Some(410));
    for silent in [Answer::hang(), Answer::close(), Answer::garbage()] {
        bench.receiver.answer("/", silent);
        let (code, body, _, error) = test(&mut bench.client);
        assert!(code.is_none() && body.is_none() && error.is_some_and(|error| !error.is_empty()));
    }

    // A rollback does not undo it.
    bench.receiver.clear();
    bench.receiver.answer("/", Answer::ok());
    bench.run("BEGIN");
    test(&mut bench.client);
    bench.run("ROLLBACK");
    assert_eq!(bench.receiver.received("/"), 1);

    assert_eq!(all_of(&mut bench.client, id), before, "it changes no counter");
    let traces: i64 = bench.ask("SELECT (SELECT count(*) FROM hydra.attempt) + (SELECT count(*) FROM hydra.event)
        + (SELECT count(*) FROM hydra.delivery) + (SELECT count(*) FROM hydra.subscription_health) + (SELECT count(*) FROM hydra.delivery_count)");
    assert_eq!(traces, 0);
}

#[test]
fn a_test_request_that_hangs_can_be_cancelled() {
    let mut bench = bench("hanging");
    bench.receiver.answer("/", Answer::hang());
    let (id, _) = bench.subscribe("/", "ticket.created", &["timeout => '60 s'"]);
    // So long that the request has arrived before.
    bench.run("SET statement_timeout = '3 s'");
    let test = format!("SELECT hydra.webhook_send_test({id})");
    let start = Instant::now();
    assert_eq!(bench.refusal(&test).code, "57014");
    assert!(start.elapsed() < Duration::from_secs(30), "took {:?} to cancel", start.elapsed());
    wait_until("its connection is closed", PATIENCE, || bench.receiver.in_flight("/") == 0);

    let mut other = bench.session();
    let token = other.cancel_token();
    let cancelled = thread::spawn(move || refusal(&mut other, &test).code);
    bench.wait_for("/", 2);
    token.cancel_query(NoTls).unwrap();
    assert_eq!(cancelled.join().unwrap(), "57014");
    bench.run("RESET statement_timeout");
    bench.receiver.answer("/", Answer::ok());
    assert_eq!(bench.ask::<i32>(&format!("SELECT status_code FROM hydra.webhook_send_test({id})")), 200);
}

#[test]
fn a_subscription_that_is_not_committed_yet_can_be_tested() {
    let mut bench = bench("uncommitted");
    bench.run("BEGIN");
    let (id, secret) = bench.subscribe("/", "ticket.created", &[]);
    let code: i32 = bench.ask(&format!("SELECT status_code FROM hydra.webhook_send_test({id})"));
    bench.run("ROLLBACK");
    assert_eq!(code, 200);
    assert_eq!(bench.receiver.requests("/")[0].signed_with(&secret), Signature::Verified);
}
