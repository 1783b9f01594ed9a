//! Emitting while sending is off, and after the extension was created or dropped.

use std::time::Duration;

use testkit::receiver::Signature;
use testkit::{Cluster, StopMode, ask, refusal, run, wait_for_state, wait_until};

use crate::{PATH, bench, bench_in, cluster, emit, set, settle, settle_ids, settle_set};

#[test]
fn events_emitted_while_sending_is_off_are_delivered_later() {
    let cluster = Cluster::start(&[("hydra_webhooks.enabled", "off")]);
    let mut bench = bench_in(&cluster, "helpdesk");
    wait_for_state(&mut bench.client, "off");
    bench.run(&emit("one"));
    cluster.stop(StopMode::Fast);
    cluster.start_again();
    bench.client = cluster.connect("helpdesk");
    bench.run(&emit("two"));
    assert_eq!(bench.count("webhook_pending"), 2);
    assert_eq!(bench.receiver.received(PATH), 0);
    cluster.set(&[("hydra_webhooks.enabled", "on")]);
    bench.wait_for(PATH, 2);
    assert_eq!(settle_set(&mut bench), set(&["one", "two"]));
}

#[test]
fn a_dispatcher_starts_soon_after_the_extension_is_created_and_created_again() {
    // Well below the minute after which the launcher checks all databases by itself.
    const SOON: Duration = Duration::from_secs(20);
    let mut bench = bench("comes_soon");
    for round in 0..8 {
        bench.run(&emit("x"));
        bench.receiver.wait_for(PATH, round + 1, SOON);
        // At once, before the former dispatcher notices that it has to end.
        bench.run("DROP EXTENSION hydra_webhooks");
        bench.run("CREATE EXTENSION hydra_webhooks");
        bench.subscribe(PATH, "ticket.created", &[]);
    }

    let mut quiet = cluster().create_database("quiet");
    wait_until("an extension that nobody uses yet has a dispatcher", SOON, || {
        ask::<String>(&mut quiet, "SELECT state FROM hydra.webhook_worker_status") == "running"
    });
}

#[test]
fn a_session_can_emit_after_the_extension_was_dropped_and_created_again() {
    let mut bench = bench("again");
    bench.run(&emit("old"));
    assert_eq!(settle_ids(&mut bench), ["old"]);
    bench.receiver.clear();
    let mut other = bench.session();
    run(&mut other, &emit("old too"));
    settle(&mut bench);
    bench.receiver.clear();

    bench.run("DROP EXTENSION hydra_webhooks");
    assert_eq!(refusal(&mut other, &emit("nowhere")).code, "42883", "the function is gone");
    bench.run("CREATE EXTENSION hydra_webhooks");
    assert_eq!(bench.emit_ticket("nobody wants it"), None);
    let (_, secret) = bench.subscribe(PATH, "ticket.created", &[]);
    bench.run(&emit("new"));
    run(&mut other, &emit("new too"));
    bench.wait_for(PATH, 2);
    assert_eq!(settle_set(&mut bench), set(&["new", "new too"]));
    assert!(bench.receiver.requests(PATH).iter().all(|request| request.signed_with(&secret) == Signature::Verified));

    // Also in one transaction that is rolled back.
    bench.run("BEGIN");
    bench.run("DROP EXTENSION hydra_webhooks");
    bench.run("CREATE EXTENSION hydra_webhooks");
    assert_eq!(bench.emit_ticket("nobody wants it"), None);
    bench.run("ROLLBACK");
    bench.run(&emit("still there"));
    assert_eq!(settle_set(&mut bench), set(&["new", "new too", "still there"]));
}
