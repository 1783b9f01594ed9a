//! Deliveries that have succeeded and are kept: found, shown and sent again.

use testkit::receiver::Answer;
use testkit::{PATIENCE, wait_until};

use crate::bench;

#[test]
fn what_succeeds_is_kept_with_its_body_and_its_answer_and_is_found_by_entity_tenant_event_and_time() {
    let mut bench = bench("kept_found");
    bench.receiver.answer("/", Answer::status(201).with_body("stored"));
    bench.subscribe("/", "ticket.*", &["name => 'crm'", "keep_bodies => '1 day'"]);
    let emit = |event: &str, id: i32, tenant: &str| {
        format!("SELECT hydra.webhook_emit('ticket.{event}', '{{\"id\": {id}}}', '{tenant}')")
    };
    let first: i64 = bench.ask(&emit("created", 42, "acme"));
    bench.run(&emit("resolved", 42, "acme"));
    bench.run(&emit("created", 7, "globex"));
    bench.wait_for_count("webhook_delivered", 3);
    assert_eq!(bench.count("webhook_history") + bench.count("delivery"), 0, "they are in a table of their own");
    for (condition, found) in [
        ("entity_type = 'ticket' AND entity_id = '42'", 2),
        ("tenant_id = 'globex'", 1),
        ("event = 'ticket.created'", 2),
        (&*format!("event_id = {first}"), 1),
        ("name = 'crm'", 3),
        ("delivered_at > now() - interval '1 hour' AND emitted_at < delivered_at", 3),
        ("delivered_at < now() - interval '1 hour'", 0),
        ("kept_until = delivered_at + interval '1 day'", 3),
        (
            "status_code = 201 AND response_excerpt = 'stored' AND response_ms >= 0 AND attempts = 1 AND operation IS NULL",
            3,
        ),
    ] {
        assert_eq!(bench.count(&format!("webhook_delivered WHERE {condition}")), found, "{condition}");
    }
    let requests = bench.wait_for("/", 3);
    for request in &requests {
        let id = request.delivery_id();
        let body: String = bench.ask(&format!("SELECT body FROM hydra.webhook_delivered WHERE delivery_id = '{id}'"));
        assert_eq!(body, request.text());
    }
    // Who may not manage sees the bodies, as those of failed deliveries, and of the URL what is not secret.
    let mut analyst = bench.session_of_new_role("analyst_of_kept", &["hydra_analyst"]);
    let seen: String =
        testkit::ask(&mut analyst, "SELECT url || ' ' || min(body) FROM hydra.webhook_delivered GROUP BY url");
    assert!(seen.contains("/… {") && seen.contains("42"), "{seen}");
}

#[test]
fn retries_that_succeed_are_kept_and_so_is_each_delivery_of_a_large_event() {
    let mut bench = bench("kept_retries");
    bench.receiver.answer_first("/a", 1, Answer::status(500));
    for path in ["/a", "/b"] {
        bench.subscribe(path, "ticket.created", &["keep_bodies => '1 hour'", "retry_schedule => '{0.1 s}'"]);
    }
    bench.emit("ticket.created", &format!("{{\"id\": 1, \"text\": \"{}\"}}", "long ".repeat(20_000)));
    bench.wait_for_count("webhook_delivered", 2);
    for (path, attempts) in [("/a", 2), ("/b", 1)] {
        let request = bench.wait_for(path, attempts).pop().expect("a request");
        let kept = "SELECT attempts, body FROM hydra.webhook_delivered WHERE delivery_id::text = $1";
        let kept = bench.client.query_one(kept, &[&request.delivery_id()]).expect("it is kept");
        assert_eq!((kept.get::<_, i32>(0) as usize, kept.get::<_, &str>(1)), (attempts, request.text()), "{path}");
    }
    bench.wait_for_empty_queue();
    assert_eq!(bench.count("webhook_history"), 2);
}

#[test]
fn nothing_is_kept_without_keep_bodies_or_after_it_was_reset() {
    let mut bench = bench("kept_or_not");
    let (id, _) = bench.subscribe("/", "ticket.created", &["log_successes => true"]);
    for (change, kept) in [("name => 'none'", 0), ("keep_bodies => '1 hour'", 1), ("reset => '{keep_bodies}'", 1)] {
        bench.run(&format!("SELECT hydra.webhook_update({id}, {change})"));
        bench.emit_ticket(1);
        bench.wait_for_empty_queue();
        assert_eq!(bench.count("webhook_delivered"), kept, "{change}");
    }
    // As other intervals, it is judged as the time that it adds.
    for wrong in ["0.9 s", "367 days", "-1 day", "12 mons -366 days", "13 mons"] {
        let refusal = bench.refused(&format!("SELECT hydra.webhook_update({id}, keep_bodies => '{wrong}')"), "22023");
        assert!(refusal.hint.contains("reset => '{keep_bodies}'"), "{refusal:?}");
    }
    bench.run(&format!("SELECT hydra.webhook_update({id}, keep_bodies => '1 year')"));
    assert_eq!(bench.column(id, "keep_bodies"), "1 year");
}

#[test]
fn what_was_kept_is_sent_again_by_id_or_by_set_with_the_same_id_and_bytes_and_is_kept_again() {
    let mut bench = bench("kept_again");
    let (id, _) = bench.subscribe("/", "ticket.*", &["keep_bodies => '1 day'", "retry_schedule => '{0.1 s}'"]);
    for number in 1..=3 {
        bench.emit_ticket(number);
    }
    bench.wait_for_count("webhook_delivered", 3);
    let requests = bench.wait_for("/", 3);
    let one = requests[0].delivery_id().to_owned();
    let retry = |conditions: &str| format!("SELECT hydra.webhook_retry({conditions})");
    assert_eq!(bench.ask::<i64>(&retry(&format!("'{one}'"))), 1);
    let again = bench.wait_for("/", 4)[3].clone();
    assert_eq!((again.delivery_id(), &again.body), (&*one, &requests[0].body));
    bench.wait_for_count("webhook_delivered WHERE attempts = 2", 1);
    assert_eq!(bench.history().iter().map(|attempt| attempt.attempt).collect::<Vec<_>>(), [2], "it is a retry");

    // By set only if that is said.
    for (conditions, sent) in [
        (format!("subscription_id => {id}"), 0),
        ("event => 'ticket.*', state => 'failed'".into(), 0),
        ("state => 'delivered', tenant_id => 'acme'".into(), 0),
        ("state => 'delivered', error_class => 'status'".into(), 0),
        (format!("delivery_id => '{one}', state => 'pending'"), 0),
        (format!("state => 'delivered', subscription_id => {id}, event => 'ticket.created', since => '-infinity'"), 3),
    ] {
        assert_eq!(bench.ask::<i64>(&retry(&conditions)), sent, "{conditions}");
    }
    bench.wait_for("/", 7);
    bench.wait_for_count("webhook_delivered", 3);
    assert_eq!(bench.count("delivery"), 0);
    let refusal = bench.refused("SELECT hydra.webhook_cancel(state => 'delivered')", "22023");
    assert!(refusal.detail.contains("receivers have them"), "{refusal:?}");

    // If it fails now, it has a fresh schedule, and is given up after that.
    bench.receiver.answer("/", Answer::status(500));
    assert_eq!(bench.ask::<i64>(&retry(&format!("'{one}'"))), 1);
    assert_eq!(bench.wait_for_failed_delivery(), one);
    assert_eq!((bench.receiver.received("/"), bench.count("webhook_delivered")), (9, 2));
}

#[test]
fn what_was_kept_outlives_its_subscription_with_its_name_and_cannot_be_sent_again() {
    let mut bench = bench("kept_orphans");
    let (id, _) = bench.subscribe("/", "ticket.created", &["name => 'crm'", "keep_bodies => '1 day'"]);
    bench.emit_ticket(1);
    bench.wait_for_count("webhook_delivered", 1);
    bench.run(&format!("SELECT hydra.webhook_delete({id})"));
    assert_eq!(bench.ask::<i64>("SELECT hydra.webhook_retry(state => 'delivered')"), 0, "it has no endpoint");
    // Also when its history is forgotten.
    bench.run("UPDATE hydra.former_subscription SET deleted_at = now() - interval '32 days'; SELECT pg_reload_conf()");
    bench.run("INSERT INTO hydra.former_subscription (id, url, deleted_at) VALUES (99, 'https://example.com/', now() - interval '32 days')");
    bench.run("SELECT pg_reload_conf()");
    bench.wait_for_count("former_subscription", 1);
    assert_eq!(bench.ask::<String>("SELECT name FROM hydra.webhook_delivered"), "crm");
}

#[test]
fn what_was_kept_is_removed_when_its_time_has_passed() {
    let mut bench = bench("kept_until");
    bench.subscribe("/", "ticket.created", &["keep_bodies => '1 day'"]);
    for number in 1..=2 {
        bench.emit_ticket(number);
    }
    bench.wait_for_count("webhook_delivered", 2);
    bench.run(
        "UPDATE hydra.delivered SET delivered_at = delivered_at - interval '25 h', kept_until = kept_until - interval '25 h'
         WHERE entity_id = '1'",
    );
    // After a reload the dispatcher checks at once.
    bench.run("SELECT pg_reload_conf()");
    wait_until("the old one is removed", PATIENCE, || {
        bench.ask::<String>("SELECT string_agg(entity_id, ',') FROM hydra.webhook_delivered") == "2"
    });
}
