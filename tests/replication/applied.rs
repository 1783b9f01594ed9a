//! With `hydra_webhooks.replicated = apply`, a cluster uses the subscriptions of another one.

use testkit::{Bench, Cluster, PATIENCE, ask, run, wait_until};

use crate::{PATH, assert_no_error, follow, publish, replicate_ticket, shop, start};

const TABLES: &str = "TABLE ticket, hydra.subscription, hydra.signing_secret, hydra.event_type";

fn start_follower() -> Cluster {
    Cluster::start(&[("wal_level", "logical"), ("hydra_webhooks.replicated", "apply")])
}

/// Emits an event in the follower's open session. Returns whether a subscription wants it.
fn is_wanted(follower: &mut Bench, id: &str) -> bool {
    follower.emit_ticket(id).is_some()
}

#[test]
fn changes_of_subscriptions_secrets_and_event_types_are_heard_by_open_sessions_and_by_the_dispatcher() {
    let (here, there) = (start(), start_follower());
    let (mut home, mut follower) = (shop(&here), shop(&there));
    // Both have the catalogue. The follower has changed an entry, and has a subscription with the number of the next one.
    home.run("SELECT hydra.webhook_register_event_type('ticket.created', 'As at home')");
    follower.run("SELECT hydra.webhook_register_event_type('ticket.created', 'As here')");
    let (id, _) = home.subscribe(PATH, "ticket.created", &["name => 'of home'"]);
    follower.subscribe("/mistake", "ticket.created", &[]);
    assert!(is_wanted(&mut follower, "by mistake"));
    follower.wait_for("/mistake", 1);

    publish(&mut home, TABLES);
    follow(&mut follower, &home, "copy_data = true");
    let description = "SELECT description FROM hydra.event_type WHERE name = 'ticket.created'";
    assert_eq!(follower.ask::<String>(description), "As at home");
    assert_eq!(follower.column(id, "name"), "of home");
    assert_eq!(follower.count("signing_secret"), 1);
    assert!(is_wanted(&mut follower, "first"));
    // It is signed with the secret of home, which the receiver knows.
    let first = home.wait_for(PATH, 1);
    assert_eq!(first[0].entity_id(), "first");
    assert_eq!(first[0].signature, testkit::receiver::Signature::Verified);

    let step = |home: &mut Bench, follower: &mut Bench, change: &str, name: &str| {
        home.run(change);
        replicate_ticket(&mut home.client, &mut follower.client, name);
    };
    step(&mut home, &mut follower, &format!("SELECT hydra.webhook_pause({id})"), "paused");
    assert!(!is_wanted(&mut follower, "not wanted"));
    step(&mut home, &mut follower, &format!("SELECT hydra.webhook_resume({id})"), "resumed");
    assert!(is_wanted(&mut follower, "wanted again"));
    step(
        &mut home,
        &mut follower,
        "SELECT hydra.webhook_register_event_type('order.paid', 'An order was paid')",
        "type",
    );
    let (paid, secret) = home.subscribe("/paid", "order.paid", &[]);
    home.receiver.secret("/paid", &secret);
    replicate_ticket(&mut home.client, &mut follower.client, "subscription");
    assert!(follower.emit("order.paid", "{}").is_some());
    // Otherwise it might be signed with the next secret before the receiver knows that.
    home.wait_for("/paid", 1);
    let secret: String = home.ask(&format!("SELECT hydra.webhook_rotate_secret({paid})"));
    home.receiver.secret("/paid", &secret);
    replicate_ticket(&mut home.client, &mut follower.client, "secret");
    assert!(follower.emit("order.paid", "{}").is_some());
    for request in home.wait_for("/paid", 2) {
        assert_eq!(request.signature, testkit::receiver::Signature::Verified);
    }
    step(&mut home, &mut follower, &format!("SELECT hydra.webhook_delete({paid})"), "deleted");
    assert!(follower.emit("order.paid", "{}").is_none());

    // The next one conflicts with one that was made by mistake meanwhile, and replaces it.
    follower.run(&format!("SELECT setval('hydra.subscription_id_seq', {paid})"));
    let (mistake, _) = follower.subscribe("/mistake", "ticket.resolved", &[]);
    let (next, _) = home.subscribe("/next", "ticket.resolved", &[]);
    assert_eq!(mistake, next);
    replicate_ticket(&mut home.client, &mut follower.client, "conflict");
    assert!(follower.column(next, "url").ends_with("/next"));
    assert_no_error(&there);
}

#[test]
fn the_queue_and_the_history_are_never_applied_and_truncate_is_where_changes_are() {
    let (here, there) = (start(), start_follower());
    let (mut home, mut follower) = (shop(&here), shop(&there));
    home.subscribe(PATH, "ticket.created", &["log_successes => true"]);
    publish(&mut home, "ALL TABLES");
    follow(&mut follower, &home, "copy_data = true");
    replicate_ticket(&mut home.client, &mut follower.client, "1");
    home.wait_for(PATH, 1);
    home.wait_for_count("attempt", 1);
    replicate_ticket(&mut home.client, &mut follower.client, "2");
    // The dispatcher of home is idle then. It and TRUNCATE lock the tables in different orders.
    home.wait_for_count("attempt", 2);
    for (table, rows) in [("event", 0), ("delivery", 0), ("attempt", 0), ("identity", 1), ("subscription", 1)] {
        assert_eq!(follower.count(table), rows, "{table}");
    }
    run(&mut home.session(), "TRUNCATE hydra.subscription CASCADE");
    wait_until("the subscription is gone", PATIENCE, || {
        ask::<i64>(&mut follower.client, "SELECT count(*) FROM hydra.subscription") == 0
    });
    assert!(!is_wanted(&mut follower, "not wanted"));
    assert_no_error(&there);
}

#[test]
fn the_setting_takes_effect_on_reload() {
    let (here, there) = (start(), start());
    let (mut home, mut follower) = (shop(&here), shop(&there));
    publish(&mut home, TABLES);
    follow(&mut follower, &home, "copy_data = false");
    home.subscribe(PATH, "ticket.created", &[]);
    replicate_ticket(&mut home.client, &mut follower.client, "ignored");
    assert_eq!(follower.count("subscription"), 0);
    there.set(&[("hydra_webhooks.replicated", "apply")]);
    let mut number = 0;
    wait_until("it is applied", PATIENCE, || {
        number += 1;
        home.run("UPDATE hydra.subscription SET name = 'applied'");
        home.subscribe(PATH, "ticket.resolved", &[]);
        replicate_ticket(&mut home.client, &mut follower.client, &format!("ticket {number}"));
        follower.count("subscription") > 0
    });
    assert_no_error(&there);
}
