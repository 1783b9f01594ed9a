//! What people are told besides the deliveries themselves: statistics, and events of the extension's own.

use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};

use postgres::Client;
use serde_json::Value;
use testkit::cluster::{Cluster, wait_until};
use testkit::receiver::{Answer, Receiver, Request, Signature};
use testkit::{PATIENCE, ask, refused, run, start_shared_cluster, subscribe, wait_for_empty_queue};

fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| start_shared_cluster(&[]))
}

fn bench(database: &str) -> (Client, Receiver) {
    (cluster().create_database(database), Receiver::start())
}

fn emit(client: &mut Client, id: &str) {
    run(client, &format!("SELECT hydra.webhook_emit('ticket.created', '{{\"id\": \"{id}\"}}', 'acme')"));
}

fn body(request: &Request) -> Value {
    serde_json::from_slice(&request.body).expect("the body is JSON")
}

/// The entities of the events of this type.
fn entities(requests: &[Arc<Request>], event_type: &str) -> Vec<Value> {
    let bodies = requests.iter().map(|request| body(request));
    bodies.filter(|body| body["event"] == event_type).map(|body| body["data"]["entity"].clone()).collect()
}

#[test]
fn statistics_count_deliveries_attempts_and_times_and_survive_a_restart() {
    let database = "statistics";
    let (mut client, receiver) = bench(database);
    receiver.answer_first("/", 2, Answer::status(500));
    receiver.answer("/slow", Answer::ok().after(std::time::Duration::from_millis(300)));
    let (id, _) = subscribe(
        &mut client,
        &receiver.url("/"),
        "ticket.created",
        &["retry_schedule => '{0 s}'", "max_in_flight => 1"],
    );
    let (slow, _) = subscribe(&mut client, &receiver.url("/slow"), "ticket.created", &[]);
    for number in 1..=4 {
        emit(&mut client, &number.to_string());
    }
    wait_for_empty_queue(&mut client);
    for round in 1..=2 {
        // What was counted is written when the dispatcher ends.
        let former = cluster().dispatcher_pid(database);
        run(&mut client, &format!("SELECT pg_terminate_backend({former})"));
        cluster().new_dispatcher_pid(database, Some(former));
        let row = client.query_one(
            "SELECT sum(delivered)::bigint, sum(failed_attempts)::bigint, sum(failed)::bigint, max(depth), min(success_rate)::float8
             FROM hydra.webhook_stats WHERE subscription_id = $1",
            &[&id],
        );
        let row = row.expect("statistics");
        let counts: [i64; 4] = [0, 1, 2, 3].map(|column| row.get(column));
        // Two failures: of one delivery, which was given up then, or of two, which were delivered then.
        assert_eq!((counts[0] + counts[2], counts[1], counts[3]), (4, 2, 0), "round {round}: {counts:?}");
        let rate: f64 = row.get(4);
        assert!((rate - counts[0] as f64 / (counts[0] + 2) as f64).abs() < 0.001, "{rate}");
        let times: Vec<f64> = ["p50_ms", "p95_ms", "p99_ms"]
            .iter()
            .map(|column| {
                ask(
                    &mut client,
                    &format!(
                        "SELECT {column} FROM hydra.webhook_stats WHERE subscription_id = {slow} AND delivered > 0"
                    ),
                )
            })
            .collect();
        assert!(times.iter().all(|time| (300.0..5000.0).contains(time)) && times.is_sorted(), "{times:?}");
    }
}

#[test]
fn what_waits_is_in_the_statistics_of_the_current_hour() {
    let (mut client, receiver) = bench("statistics_depth");
    receiver.answer("/", Answer::status(500));
    let (id, _) = subscribe(&mut client, &receiver.url("/"), "ticket.created", &["retry_schedule => '{1 h}'"]);
    for number in 1..=3 {
        emit(&mut client, &number.to_string());
    }
    const WAITING: &str = "SELECT coalesce(max(depth), 0) = 3 AND bool_or(oldest_due > now()) FROM hydra.webhook_stats WHERE subscription_id = ";
    wait_until("all have failed once", PATIENCE, || {
        ask::<Option<bool>>(&mut client, &format!("{WAITING}{id}")).unwrap_or_default()
    });
}

#[test]
fn who_asks_is_told_of_deliveries_given_up_and_of_subscriptions_disabled() {
    let (mut client, receiver) = bench("own_events");
    receiver.answer("/failing", Answer::status(418));
    let (failing, _) = subscribe(
        &mut client,
        &receiver.url("/failing"),
        "ticket.created,webhook.*",
        &["retry_schedule => '{}'", "disable_after => 2", "name => 'kettle'", "max_in_flight => 1"],
    );
    let (_, secret) = subscribe(&mut client, &receiver.url("/told"), "webhook.*", &[]);
    subscribe(&mut client, &receiver.url("/all"), "*", &[]);
    subscribe(
        &mut client,
        &receiver.url("/filtered"),
        "webhook.delivery_failed",
        &["filter => '$.status_code != 418'"],
    );
    receiver.secret("/told", &secret);
    for id in ["1", "2"] {
        emit(&mut client, id);
    }
    let told = receiver.wait_for("/told", 3, PATIENCE);
    wait_for_empty_queue(&mut client);
    assert!(told.iter().all(|request| request.signature == Signature::Verified));

    let failed = entities(&told, "webhook.delivery_failed");
    let ids: Vec<String> = client
        .query("SELECT delivery_id::text FROM hydra.webhook_failed", &[])
        .unwrap()
        .iter()
        .map(|row| row.get(0))
        .collect();
    let told_ids: BTreeSet<&str> = failed.iter().filter_map(|entity| entity["delivery_id"].as_str()).collect();
    assert_eq!(told_ids, ids.iter().map(String::as_str).collect::<BTreeSet<_>>());
    assert_eq!(failed.len(), 2);
    assert_eq!((&failed[0]["subscription_id"], &failed[0]["event"]), (&failing.into(), &"ticket.created".into()));
    assert_eq!(
        (&failed[0]["attempts"], &failed[0]["status_code"], &failed[0]["error_class"]),
        (&1.into(), &418.into(), &"status".into())
    );
    let disabled = entities(&told, "webhook.subscription_disabled");
    assert_eq!(disabled.len(), 1);
    assert_eq!((&disabled[0]["subscription_id"], &disabled[0]["name"]), (&failing.into(), &"kettle".into()));
    assert_eq!(disabled[0]["reason"], "failures");

    let types: Vec<Value> = receiver.requests("/all").iter().map(|request| body(request)["event"].clone()).collect();
    assert_eq!(types, ["ticket.created", "ticket.created"], "a star leaves out the extension's own");
    assert_eq!(receiver.received("/filtered"), 0);
    assert_eq!(receiver.received("/failing"), 2, "nobody is told of their own failures");
}

#[test]
fn those_who_are_told_and_fail_do_not_tell_each_other_for_ever() {
    let (mut client, receiver) = bench("own_events_loops");
    for path in ["/a", "/b"] {
        receiver.answer(path, Answer::status(500));
        subscribe(&mut client, &receiver.url(path), "ticket.created,webhook.*", &["retry_schedule => '{}'"]);
    }
    emit(&mut client, "1");
    // One delivery to each fails; each is told of the other's, and fails at that; and there it ends.
    wait_until("all four were given up", PATIENCE, || {
        ask(&mut client, "SELECT count(*) = 4 FROM hydra.webhook_failed")
    });
    wait_for_empty_queue(&mut client);
    let all: i64 = ask(&mut client, "SELECT count(*) FROM hydra.webhook_failed");
    assert_eq!(all, 4);
}

#[test]
fn nobody_else_emits_the_events_of_the_extension() {
    let (mut client, receiver) = bench("own_events_forged");
    subscribe(&mut client, &receiver.url("/"), "webhook.*", &[]);
    for name in ["webhook.delivery_failed", "webhook.subscription_disabled", "webhook.other"] {
        refused(&mut client, &format!("SELECT hydra.webhook_emit('{name}', '{{}}')"), "42939");
        refused(&mut client, &format!("SELECT hydra.webhook_register_event_type('{name}')"), "42939");
    }
}

#[test]
fn history_and_failed_deliveries_are_removed_when_they_are_older_than_the_retention() {
    let (mut client, receiver) = bench("retention");
    receiver.answer("/", Answer::status(500));
    subscribe(&mut client, &receiver.url("/"), "ticket.created", &["retry_schedule => '{}'"]);
    for id in ["1", "2"] {
        emit(&mut client, id);
    }
    wait_until("both were given up", PATIENCE, || ask(&mut client, "SELECT count(*) = 2 FROM hydra.webhook_failed"));
    run(
        &mut client,
        "UPDATE hydra.attempt SET attempted_at = attempted_at - interval '31 days'
         WHERE event_id = (SELECT min(event_id) FROM hydra.attempt);
         UPDATE hydra.delivery SET failed_at = failed_at - interval '31 days'
         WHERE event_id = (SELECT min(event_id) FROM hydra.delivery);
         INSERT INTO hydra.attempt (delivery_id, subscription_id, event_id, event_type, attempt, status_code, attempted_at)
         SELECT gen_random_uuid(), 0, 0, 'ticket.created', 1, 200, now() - interval '1 year' FROM generate_series(1, 12000)",
    );
    // A reload has it looked for at once.
    run(&mut client, "SELECT pg_reload_conf()");
    const LEFT: &str =
        "SELECT (SELECT count(*) FROM hydra.webhook_failed) = 1 AND (SELECT count(*) FROM hydra.webhook_history) = 1";
    wait_until("the old ones are removed, and no others", PATIENCE, || ask(&mut client, LEFT));
}
