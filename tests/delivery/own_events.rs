//! Events of the extension itself: a delivery was given up, a subscription was disabled.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value;
use testkit::receiver::{Answer, Request, Signature};
use testkit::{Bench, Cluster, PATIENCE, wait_until};

use crate::bench;

/// The entities of the events of this type.
fn entities(requests: &[Arc<Request>], event_type: &str) -> Vec<Value> {
    let bodies = requests.iter().map(|request| request.json());
    bodies.filter(|body| body["event"] == event_type).map(|body| body["data"]["entity"].clone()).collect()
}

#[test]
fn subscriptions_to_webhook_events_receive_failed_deliveries_and_disabled_subscriptions() {
    let mut bench = bench("own_events");
    bench.receiver.answer("/failing", Answer::status(418));
    let (failing, _) = bench.subscribe(
        "/failing",
        "ticket.created,webhook.*",
        &["retry_schedule => '{}'", "disable_after => 2", "name => 'kettle'", "max_in_flight => 1"],
    );
    bench.subscribe("/own", "webhook.*", &[]);
    bench.subscribe("/all", "*", &[]);
    bench.subscribe("/filtered", "webhook.delivery_failed", &["filter => '$.status_code != 418'"]);
    for id in 1..=2 {
        bench.emit_ticket(id);
    }
    // Two deliveries that failed, the subscription that is failing, and that it was disabled.
    let own = bench.wait_for("/own", 4);
    bench.wait_for_empty_queue();
    assert!(own.iter().all(|request| request.signature == Signature::Verified));

    let failed = entities(&own, "webhook.delivery_failed");
    let ids: Vec<String> = bench.ask("SELECT array_agg(delivery_id::text) FROM hydra.webhook_failed");
    let received_ids: BTreeSet<&str> = failed.iter().filter_map(|entity| entity["delivery_id"].as_str()).collect();
    assert_eq!(received_ids, ids.iter().map(String::as_str).collect::<BTreeSet<_>>());
    assert_eq!(failed.len(), 2);
    assert_eq!((&failed[0]["subscription_id"], &failed[0]["event"]), (&failing.into(), &"ticket.created".into()));
    assert_eq!(
        (&failed[0]["attempts"], &failed[0]["status_code"], &failed[0]["error_class"]),
        (&1.into(), &418.into(), &"status".into())
    );
    let disabled = entities(&own, "webhook.subscription_disabled");
    assert_eq!(disabled.len(), 1);
    assert_eq!((&disabled[0]["subscription_id"], &disabled[0]["name"]), (&failing.into(), &"kettle".into()));
    assert_eq!(disabled[0]["reason"], "failures");
    let shown = format!("{}…", bench.receiver.url("/"));
    assert_eq!(disabled[0]["url"], shown.as_str(), "the path and the query of a URL may be secret");
    assert!(own.iter().all(|request| !request.text().contains("/failing")));

    let types: Vec<Value> =
        bench.receiver.requests("/all").iter().map(|request| request.json()["event"].clone()).collect();
    assert_eq!(types, ["ticket.created", "ticket.created"], "a star leaves out the extension's own");
    assert_eq!(bench.receiver.received("/filtered"), 0);
    assert_eq!(bench.receiver.received("/failing"), 2, "no subscription receives its own failures");
}

#[test]
fn failures_to_deliver_the_extensions_own_events_emit_no_more_of_them() {
    let mut bench = bench("own_events_loops");
    for path in ["/a", "/b"] {
        bench.receiver.answer(path, Answer::status(500));
        bench.subscribe(path, "ticket.created,webhook.*", &["retry_schedule => '{}'"]);
    }
    bench.emit_ticket(1);
    // One delivery to each fails. Each then receives the failure of the other, which fails too, and no event follows.
    bench.wait_for_count("webhook_failed", 4);
    bench.wait_for_empty_queue();
    assert_eq!(bench.count("webhook_failed"), 4);
}

#[test]
fn only_the_extension_emits_its_own_events() {
    let mut bench = bench("own_events_forged");
    bench.subscribe("/", "webhook.*", &[]);
    for name in ["webhook.delivery_failed", "webhook.subscription_disabled", "webhook.other"] {
        bench.refused(&format!("SELECT hydra.webhook_emit('{name}', '{{}}')"), "42939");
        bench.refused(&format!("SELECT hydra.webhook_register_event_type('{name}')"), "42939");
    }
}

/// A path that Postgres cannot evaluate. An error in the template of `datetime` is not one that `silent` suppresses.
const RAISES: &str = r#"$.* ? (@.type() == "string").datetime("YYYY-MM-DDTHH24:MI:SS")"#;

/// A path that visits all combinations of twelve values of the entity, which takes for ever.
fn endless() -> String {
    format!("$ ? ({})", (0..12).fold("@ == \"never\"".to_owned(), |inner, _| format!("exists($.** ? ({inner}))")))
}

/// Own events pass filters that fail, and deliveries to others go on.
fn assert_isolated(database: &str, filter: &str) {
    // A cluster of its own, because its log is read.
    let cluster = Cluster::start(&[]);
    let mut bench = Bench::new(&cluster, database);
    bench.receiver.answer("/failing", Answer::status(500));
    bench.receiver.answer("/gone", Answer::gone());
    bench.subscribe("/failing", "ticket.created", &["retry_schedule => '{}'"]);
    let (gone, _) = bench.subscribe("/gone", "ticket.created", &[]);
    let (filtered, _) = bench.subscribe("/filtered", "webhook.*", &[&format!("filter => '{filter}'")]);
    bench.subscribe("/healthy", "ticket.created", &[]);
    for id in 1..=20 {
        bench.emit_ticket(id);
        bench.wait_for("/healthy", id);
    }
    bench.wait_for_column(gone, "status", "disabled");
    let own = |bench: &Bench| {
        let requests = bench.receiver.requests("/filtered");
        let of = |event_type| entities(&requests, event_type).len();
        (of("webhook.delivery_failed"), of("webhook.subscription_disabled"))
    };
    wait_until("the event passes the filter that fails", PATIENCE, || own(&bench) == (20, 1));
    // The delivery that was answered with 410 waits.
    bench.wait_for_count("event", 0);
    assert_eq!(bench.receiver.received("/failing"), 20, "no request is repeated");
    let complaint = format!("the filter of subscription {filtered} failed or took too long; it gets the event");
    let log = bench.cluster.log();
    let complaints = log.lines().filter(|line| line.contains(&complaint)).count();
    assert_eq!(complaints, 1, "it is said once");
    assert!(!log.contains("could not write outcomes"), "{log}");
}

#[test]
fn a_filter_that_raises_on_the_extensions_own_events_stops_no_delivery_and_the_event_passes() {
    assert_isolated("own_events_raise", RAISES);
}

#[test]
fn a_filter_that_never_ends_on_the_extensions_own_events_stops_no_delivery_and_the_event_passes() {
    assert_isolated("own_events_endless", &endless());
}

#[test]
fn own_events_that_cannot_be_emitted_keep_no_delivery_from_being_recorded() {
    let mut bench = bench("own_events_refused");
    bench.receiver.answer("/failing", Answer::status(500));
    bench.subscribe("/failing", "ticket.created", &["retry_schedule => '{}'"]);
    bench.subscribe("/own", "webhook.*", &[]);
    bench.run("ALTER TABLE hydra.event ADD CONSTRAINT none_of_our_own CHECK (event_type NOT LIKE 'webhook.%')");
    for id in 1..=5 {
        bench.emit_ticket(id);
    }
    bench.wait_for_count("webhook_failed", 5);
    bench.wait_for_empty_queue();
    assert_eq!((bench.receiver.received("/failing"), bench.receiver.received("/own")), (5, 0));
}
