//! Faults of this side: settings that allow no request, names that nobody looks up. They are not failures of an
//! endpoint.

use testkit::{Bench, Cluster, PATIENCE, ask, subscribe, wait_until, worker_status};

const EVENTS: usize = 20;

#[test]
fn settings_that_allow_no_request_fail_no_delivery_and_disable_nothing_and_the_status_says_so() {
    let cluster = Cluster::start(&[]);
    let mut bench = Bench::new(&cluster, "not_allowed");
    let (id, _) = bench.subscribe("/", "ticket.created", &["preset => 'x_webhook'", "retry_schedule => '{}'"]);
    let mut sent = 0;
    for (setting, forbidden, allowed, reason) in [
        ("hydra_webhooks.allow_http", "off", "on", "https"),
        ("hydra_webhooks.allow_networks", "", "127.0.0.0/8", "not allowed"),
    ] {
        cluster.set(&[(setting, forbidden)]);
        wait_until("the setting is in force", PATIENCE, || {
            sent += 1;
            bench.emit_ticket(sent);
            bench.column(id, "waiting_for").contains(reason)
        });
        bench.emit_tickets(sent + 1..=sent + EVENTS);
        sent += EVENTS;
        wait_until("the status says so", PATIENCE, || {
            worker_status(&mut bench.client, "detail").contains("waiting_for")
        });
        assert_eq!(
            ["status", "consecutive_failures", "failed"].map(|column| bench.column(id, column)),
            ["active", "0", "0"],
            "{setting}"
        );
        cluster.set(&[(setting, allowed)]);
        bench.wait_for_empty_queue();
        bench.wait_for_column(id, "waiting_for", "");
    }
    assert_eq!((bench.receiver.received("/"), bench.count("webhook_history")), (sent, 0));
    wait_until("all is well", PATIENCE, || worker_status(&mut bench.client, "detail") == "events are sent");
}

#[test]
fn while_one_subscription_waits_for_a_mended_url_others_receive() {
    let cluster = Cluster::start(&[]);
    let mut bench = Bench::new(&cluster, "one_waits");
    let port = bench.receiver.address().port();
    let (id, _) = subscribe(&mut bench.client, "http://127.0.0.1:9/", "ticket.created", &["retry_schedule => '{}'"]);
    bench.run(&format!("UPDATE hydra.subscription SET url = 'http://10.0.0.1:9/' WHERE id = {id}"));
    bench.subscribe("/well", "ticket.created", &[]);
    bench.emit_tickets(1..=EVENTS);
    bench.wait_for("/well", EVENTS);
    wait_until("it waits", PATIENCE, || bench.column(id, "waiting_for").contains("not allowed"));
    bench.run(&format!("SELECT hydra.webhook_update({id}, url => 'http://127.0.0.1:{port}/mended')"));
    bench.wait_for_empty_queue();
    assert_eq!((bench.receiver.received("/mended"), bench.count("webhook_history")), (EVENTS, 0));
}

/// With the settings that the documentation gives to developers.
#[test]
fn a_refused_name_says_its_address_to_who_may_manage_and_the_setting_with_which_localhost_receives() {
    let cluster = Cluster::start(&[("hydra_webhooks.allow_networks", "")]);
    let mut bench = Bench::new(&cluster, "localhost");
    let port = bench.receiver.address().port();
    let url = format!("http://localhost:{port}/");
    let (id, secret) = subscribe(&mut bench.client, &url, "ticket.created", &["retry_schedule => '{}'"]);
    bench.receiver.secret("/", &secret);
    bench.emit_tickets(1..=EVENTS);
    wait_until("it waits", PATIENCE, || !bench.column(id, "waiting_for").is_empty());
    let waiting = bench.column(id, "waiting_for");
    let tested: String = bench.ask(&format!("SELECT error FROM hydra.webhook_send_test({id})"));
    for said in [waiting, tested] {
        assert!(said.contains("127.0.0.1 is not a public") || said.contains("::1 is not a public"), "{said}");
        assert!(said.contains("hydra_webhooks.allow_networks"), "{said}");
    }
    let mut member = bench.session_of_new_role("member_of_localhost", &["hydra_member"]);
    let seen: String = ask(&mut member, "SELECT waiting_for FROM hydra.webhook_subscriptions");
    assert_eq!(seen, "host name resolves to an address that is not allowed", "of a private network, nothing is said");
    cluster.set(&[("hydra_webhooks.allow_networks", "127.0.0.0/8, ::1/128")]);
    bench.wait_for_empty_queue();
    assert_eq!((bench.receiver.received("/"), bench.count("webhook_history")), (EVENTS, 0));
}
