//! Outages of a receiver: who hears of them, and what the log and the status say.

use testkit::receiver::Answer;
use testkit::{Bench, Cluster, PATIENCE, wait_until, worker_status};

use crate::bench;

#[test]
fn an_outage_is_reported_at_half_of_what_disables_the_subscription_and_when_it_is_disabled() {
    let mut bench = bench("outage");
    bench.receiver.answer("/", Answer::status(503));
    bench.subscribe("/ours", "webhook.subscription_failing,webhook.subscription_disabled", &[]);
    let (id, _) = bench.subscribe(
        "/",
        "ticket.created",
        &["name => 'shop'", "retry_schedule => '{1 h}'", "disable_after => 4", "max_in_flight => 1"],
    );
    let fail = |bench: &mut Bench, failures: &str| {
        bench.emit_ticket(failures);
        bench.wait_for_column(id, "consecutive_failures", failures);
    };
    fail(&mut bench, "1");
    fail(&mut bench, "2");
    let reported = bench.wait_for("/ours", 1);
    let body = reported[0].json();
    assert_eq!(body["event"], "webhook.subscription_failing");
    let entity = &body["data"]["entity"];
    assert_eq!((&entity["subscription_id"], &entity["name"]), (&id.into(), &"shop".into()));
    assert_eq!((&entity["consecutive_failures"], &entity["disable_after"]), (&2.into(), &4.into()));
    assert_eq!((&entity["status_code"], &entity["error_class"]), (&503.into(), &"status".into()));
    assert_eq!(entity["url"], format!("{}…", bench.receiver.url("/")).as_str());
    assert_eq!(bench.column(id, "status"), "active", "there is time to do something");

    fail(&mut bench, "3");
    bench.emit_ticket(4);
    bench.wait_for_column(id, "status", "disabled");
    let reported = bench.wait_for("/ours", 2);
    assert_eq!(reported[1].json()["event"], "webhook.subscription_disabled");
    bench.emit_ticket(5);
    bench.wait_for_column(id, "missed", "1");
    bench.wait_for_count("event", 0);
    assert_eq!(bench.receiver.received("/ours"), 2, "each is reported once");
}

#[test]
fn the_log_says_each_change_of_an_outage_once() {
    let cluster = Cluster::start(&[]);
    let mut bench = Bench::new(&cluster, "outage_log");
    let count = |line: &str| cluster.log().matches(line).count();
    let logged = |line: &str| wait_until(format!("the log has: {line}"), PATIENCE, || count(line) > 0);
    bench.receiver.answer("/", Answer::status(500));
    let later = "retry_schedule => '{1 h}'";
    let (id, _) = bench.subscribe("/", "ticket.created", &[later, "max_in_flight => 1"]);
    for event in 1..=6 {
        bench.emit_ticket(event);
        bench.wait_for_column(id, "consecutive_failures", &event.to_string());
    }
    let failing = format!("endpoints of database \"outage_log\" began to fail; subscriptions: {id}");
    logged(&failing);
    let detail = worker_status(&mut bench.client, "detail");
    assert!(detail.contains("failed for 1 of 1 active subscriptions"), "{detail}");

    bench.receiver.answer("/", Answer::ok());
    bench.emit_ticket(7);
    let answering = format!("endpoints of database \"outage_log\" answer again; subscriptions: {id}");
    logged(&answering);
    assert_eq!(worker_status(&mut bench.client, "detail"), "events are sent");

    bench.receiver.answer("/", Answer::status(500));
    // Or those that wait would be retried now.
    bench.run(&format!("SELECT hydra.webhook_cancel(subscription_id => {id})"));
    bench.run(&format!("SELECT hydra.webhook_update({id}, retry_schedule => '{{}}', disable_after => 3)"));
    bench.emit_ticket(8);
    logged("WARNING:  hydra_webhooks dispatcher: 1 delivery was given up in database \"outage_log\"");
    for event in 9..=10 {
        bench.emit_ticket(event);
        bench.wait_for_count("webhook_failed", event - 7);
    }
    let disabled =
        format!("WARNING:  hydra_webhooks dispatcher: subscription {id} of database \"outage_log\" was disabled: ");
    logged(&disabled);
    logged(&format!("HINT:  SELECT hydra.webhook_resume({id}, missed => 'send') resumes it."));
    // The others of this minute are counted, and logged at the latest when the dispatcher ends.
    bench.run("SELECT hydra.webhook_park()");
    logged("2 deliveries were given up in the last minute in database \"outage_log\"");
    for line in [&failing, &answering, &disabled] {
        assert_eq!(count(line), 1, "{line}");
    }
    assert_eq!(count("given up"), 2);
}
