//! Changes of a subscription, and when they apply.

use testkit::receiver::{Answer, Signature};
use testkit::{let_pass, millis};

use crate::{RETRY_LATER, all_of, bench};

#[test]
fn an_update_changes_only_what_is_given() {
    let mut bench = bench("updated");
    let (id, secret) = bench.subscribe(
        "/a",
        "ticket.created",
        &[
            "name => 'Ops'",
            "tenant_id => 'acme'",
            "signatures => '{hydra,standard}'",
            "timeout => '3 s'",
            "retry_schedule => '{1 s,2 s}'",
            "max_in_flight => 3",
            "disable_after => 4",
            "disable_after_time => '2 h'",
            "keep_bodies => '3 h'",
            "log_successes => true",
        ],
    );
    let before = all_of(&mut bench.client, id);
    bench.run(&format!("SELECT hydra.webhook_update({id})"));
    assert_eq!(all_of(&mut bench.client, id), before, "an update in which every argument is null");
    let changes = [
        ("name => 'Sales'", "\"name\": \"Ops\"", "\"name\": \"Sales\""),
        ("tenant_id => 'globex'", "\"tenant_id\": \"acme\"", "\"tenant_id\": \"globex\""),
        ("event_types => '{part.created}'", "[\"ticket.created\"]", "[\"part.created\"]"),
        ("timeout => '4 s'", "\"timeout\": \"00:00:03\"", "\"timeout\": \"00:00:04\""),
        ("retry_schedule => '{}'", "[\"00:00:01\", \"00:00:02\"]", "[]"),
        ("max_in_flight => 5", "\"max_in_flight\": 3", "\"max_in_flight\": 5"),
        ("disable_after => 6", "\"disable_after\": 4", "\"disable_after\": 6"),
        ("disable_after_time => '0'", "\"disable_after_time\": \"02:00:00\"", "\"disable_after_time\": \"00:00:00\""),
        ("keep_bodies => '4 h'", "\"keep_bodies\": \"03:00:00\"", "\"keep_bodies\": \"04:00:00\""),
        ("log_successes => false", "\"log_successes\": true", "\"log_successes\": false"),
        ("signatures => '{hydra}'", "[\"hydra\", \"standard\"]", "[\"hydra\"]"),
    ];
    for (change, was, is) in changes {
        let before = all_of(&mut bench.client, id);
        assert!(before.contains(was), "{before} has no {was}");
        bench.run(&format!("SELECT hydra.webhook_update({id}, {change})"));
        assert_eq!(all_of(&mut bench.client, id), before.replacen(was, is, 1), "{change}");
    }
    bench.run(&format!(
        "SELECT hydra.webhook_update({id}, url => '{}', event_types => '{{ticket.created}}', tenant_id => 'acme')",
        bench.receiver.url("/b")
    ));
    bench.run("SELECT hydra.webhook_emit('ticket.created', '{\"id\": \"1\"}', 'acme')");
    let requests = bench.wait_for("/b", 1);
    assert_eq!(requests[0].signed_with(&secret), Signature::Verified, "the secret stays");

    let before = all_of(&mut bench.client, id);
    for change in [
        "url => ''",
        "url => 'ftp://a/'",
        "event_types => '{}'",
        "name => ''",
        "timeout => '0'",
        "retry_schedule => '{-1 s}'",
        "max_in_flight => 0",
        "disable_after => 0",
        "disable_after_time => '31 days'",
        "keep_bodies => '0'",
        "signatures => '{}'",
    ] {
        bench.refused(&format!("SELECT hydra.webhook_update({id}, {change})"), "22023");
    }
    bench.refused(&format!("SELECT hydra.webhook_update({id}, event_types => '{{ticket.lost}}')"), "42704");
    bench.refused(&format!("SELECT hydra.webhook_update({id}, preset => 'slack')"), "42704");
    assert_eq!(all_of(&mut bench.client, id), before);
}

#[test]
fn an_update_takes_settings_back() {
    let mut bench = bench("reset");
    let (id, _) = bench.subscribe("/", "ticket.created", &[]);
    let as_created = all_of(&mut bench.client, id);
    let settings = [
        ("name", "'Ops'"),
        ("tenant_id", "'acme'"),
        ("signatures", "'{standard}'"),
        ("timeout", "'3 s'"),
        ("retry_schedule", "'{1 s}'"),
        ("filter", "'$.id'"),
        ("max_in_flight", "3"),
        ("rate_limit", "100"),
        ("disable_after", "4"),
        ("disable_after_time", "'2 h'"),
        ("keep_bodies", "'2 days'"),
    ];
    for (setting, value) in settings {
        bench.run(&format!("SELECT hydra.webhook_update({id}, {setting} => {value})"));
        assert_ne!(all_of(&mut bench.client, id), as_created, "{setting}");
        bench.refused(
            &format!("SELECT hydra.webhook_update({id}, {setting} => {value}, reset => '{{{setting}}}')"),
            "22023",
        );
        bench.run(&format!("SELECT hydra.webhook_update({id}, reset => '{{{setting}}}')"));
        assert_eq!(all_of(&mut bench.client, id), as_created, "{setting}");
    }
    let given: Vec<String> = settings.iter().map(|(setting, value)| format!("{setting} => {value}")).collect();
    bench.run(&format!("SELECT hydra.webhook_update({id}, {})", given.join(", ")));
    let names = settings.map(|(setting, _)| setting).join(",");
    bench.run(&format!("SELECT hydra.webhook_update({id}, reset => '{{{names}}}')"));
    assert_eq!(all_of(&mut bench.client, id), as_created, "all at once");
    for wrong in ["{url}", "{nmae}", "{NULL}"] {
        let refusal = bench.refused(&format!("SELECT hydra.webhook_update({id}, reset => '{wrong}')"), "22023");
        assert!(refusal.detail.contains("rate_limit"), "{refusal:?}");
    }
    // The hint names the way.
    let refusal = bench.refused(&format!("SELECT hydra.webhook_update({id}, rate_limit => 0)"), "22023");
    assert!(refusal.hint.contains("reset => '{rate_limit}'"), "{refusal:?}");
}

#[test]
fn a_changed_url_and_secret_apply_from_the_next_attempt_and_the_body_stays() {
    let mut bench = bench("next_attempt");
    bench.receiver.answer("/old", Answer::status(500));
    let (id, old) = bench.subscribe("/old", "ticket.created", &["retry_schedule => '{5 s}'"]);
    bench.emit_ticket("1");
    let delivery = bench.wait_for_failed_attempt(1);
    bench.run(&format!("SELECT hydra.webhook_update({id}, url => '{}')", bench.receiver.url("/new")));
    let new: String = bench.ask(&format!("SELECT hydra.webhook_rotate_secret({id})"));
    let second = bench.wait_for("/new", 1)[0].clone();
    let first = bench.receiver.requests("/old")[0].clone();
    bench.wait_for_empty_queue();
    assert_eq!(bench.receiver.received("/old"), 1);
    assert_eq!((&first.body, first.delivery_id()), (&second.body, second.delivery_id()));
    assert_eq!(second.delivery_id(), delivery);
    assert_eq!(first.signed_with(&old), Signature::Verified);
    assert_eq!(second.signed_with(&new), Signature::Verified);
    assert_ne!(second.signed_with(&old), Signature::Verified);
    let statuses: Vec<_> = bench.history().iter().map(|attempt| (attempt.attempt, attempt.status)).collect();
    assert_eq!(statuses, [(1, Some(500)), (2, Some(200))], "a retry leaves a row, also when it succeeds");
}

#[test]
fn values_of_headers_never_follow_a_url_to_another_endpoint() {
    let mut bench = bench("headers_stay");
    let (id, _) = bench.subscribe("/", "ticket.created", &[r#"headers => '{"Authorization": "Bearer s3cret"}'"#]);
    for url in ["http://127.0.0.1:9/", "http://127.0.0.2:9/", "https://127.0.0.1/"] {
        let refusal =
            bench.refused(&format!("SELECT hydra.webhook_update({id}, url => '{url}', name => 'x')"), "22023");
        assert!(refusal.hint.contains("headers") && !format!("{refusal:?}").contains("s3cret"), "{refusal:?}");
    }
    assert_eq!((bench.column(id, "url"), bench.column(id, "name")), (bench.receiver.url("/"), String::new()));
    // Another path is the same endpoint.
    bench.run(&format!("SELECT hydra.webhook_update({id}, url => '{}')", bench.receiver.url("/b")));
    bench.emit_ticket(1);
    assert_eq!(bench.wait_for("/b", 1)[0].header("Authorization"), Some("Bearer s3cret"));
    // With headers, or without any, every URL is accepted.
    bench.run(&format!(
        r#"SELECT hydra.webhook_update({id}, url => 'http://127.0.0.1:9/', headers => '{{"X-A": "a"}}')"#
    ));
    bench.run(&format!("SELECT hydra.webhook_update({id}, url => '{}', headers => '{{}}')", bench.receiver.url("/c")));
    bench.run(&format!("SELECT hydra.webhook_update({id}, url => 'http://127.0.0.1:9/')"));
}

#[test]
fn a_changed_schedule_applies_from_the_next_attempt() {
    let mut bench = bench("new_schedule");
    let (id, _) = bench.subscribe("/", "ticket.created", &["retry_schedule => '{5 s,0.1 s,0.1 s}'"]);
    bench.receiver.answer("/", Answer::status(500));
    bench.emit_ticket(1);
    bench.wait_for_history(1);
    bench.run(&format!("SELECT hydra.webhook_update({id}, retry_schedule => '{{5 s}}')"));
    bench.wait_for_failed_delivery();
    assert_eq!(bench.history().len(), 2);
}

#[test]
fn deleting_a_subscription_drops_what_is_pending_and_keeps_its_history() {
    let mut bench = bench("deleted");
    bench.receiver.answer("/", Answer::status(500));
    let (id, _) = bench.subscribe("/", "ticket.created", &["retry_schedule => '{5 s,0.5 s}'"]);
    bench.emit_ticket(1);
    bench.wait_for_history(1);
    bench.run(&format!("SELECT hydra.webhook_delete({id})"));
    for relation in ["webhook_pending", "webhook_subscriptions", "signing_secret"] {
        assert_eq!(bench.count(relation), 0, "{relation}");
    }
    assert_eq!(bench.emit_ticket(2), None);
    // Longer than the delay of the retry, which may be a tenth more.
    let_pass(millis(6500));
    assert_eq!(bench.receiver.received("/"), 1);
    let history = bench.history();
    assert_eq!((history.len(), history[0].subscription), (1, id));
}

#[test]
fn deleting_a_subscription_with_a_request_under_way_leaves_nothing_behind() {
    let mut bench = bench("deleted_in_flight");
    bench.receiver.answer("/", Answer::hang());
    let (id, _) = bench.subscribe("/", "ticket.created", &["timeout => '1 s'", RETRY_LATER]);
    bench.emit_ticket("1");
    bench.wait_for("/", 1);
    bench.run(&format!("SELECT hydra.webhook_delete({id})"));
    bench.wait_for_empty_queue();
    assert_eq!(bench.count("delivery"), 0);
}
