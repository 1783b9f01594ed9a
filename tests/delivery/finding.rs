//! What was sent, or could not be, is found by its entity, its tenant and the name of its subscription.

use testkit::receiver::Answer;

use crate::bench;

#[test]
fn history_pending_and_failed_deliveries_carry_entity_tenant_time_name_and_url() {
    let mut bench = bench("finding");
    bench.receiver.answer("/", Answer::status(500));
    bench.subscribe("/", "ticket.created", &["name => 'crm'", "retry_schedule => '{}'"]);
    bench.subscribe("/", "part.created", &["name => 'stock'", "retry_schedule => '{1 h}'"]);
    bench.run("SELECT hydra.webhook_emit('ticket.created', '{\"id\": 42}', 'acme')");
    bench.run("SELECT hydra.webhook_emit('part.created', '{\"id\": 7}', 'globex')");
    bench.wait_for_history(2);
    bench.wait_for_count("webhook_failed", 1);
    let url = bench.receiver.url("/");
    let ticket = "entity_type || ' ' || entity_id || ' ' || tenant_id || ' ' || name || ' ' || url";
    for (view, found) in [
        ("webhook_failed", format!("ticket 42 acme crm {url}")),
        ("webhook_pending", format!("part 7 globex stock {url}")),
        ("webhook_history WHERE entity_type = 'ticket' AND entity_id = '42'", format!("ticket 42 acme crm {url}")),
        ("webhook_history WHERE tenant_id = 'globex'", format!("part 7 globex stock {url}")),
        ("webhook_history WHERE name = 'stock'", format!("part 7 globex stock {url}")),
    ] {
        assert_eq!(bench.ask::<String>(&format!("SELECT {ticket} FROM hydra.{view}")), found, "{view}");
    }
    let same = "SELECT count(*) FROM hydra.webhook_history AS h
                JOIN hydra.delivery AS d ON d.id = h.delivery_id AND d.emitted_at = h.emitted_at";
    assert_eq!(bench.ask::<i64>(same), 2);
}

#[test]
fn an_event_is_found_by_the_id_that_its_receiver_has_logged() {
    let mut bench = bench("finding_by_receiver");
    bench.receiver.answer("/failing", Answer::status(500));
    bench.subscribe("/", "ticket.created", &["keep_bodies => '1 day'"]);
    bench.subscribe("/failing", "ticket.created", &["retry_schedule => '{}'"]);
    bench.subscribe("/failing", "ticket.created", &["retry_schedule => '{1 h}'", "preset => 'x_webhook'"]);
    bench.emit_ticket(1);
    bench.emit_ticket(2);
    bench.wait_for_history(4);
    for (view, rows) in [("webhook_delivered", 2), ("webhook_failed", 2), ("webhook_pending", 2)] {
        bench.wait_for_count(view, rows);
    }
    let logged = bench.wait_for("/", 2);
    for request in bench.wait_for("/failing", 4).iter().chain(&logged) {
        let id = request.header("X-Hydra-Event-Id").or(request.header("X-Webhook-Event-Id")).expect("an id").to_owned();
        let data = &request.json()["data"];
        let entity = data["entity_id"].as_str().or(data["id"].as_str()).expect("its entity").to_owned();
        for (view, rows) in
            [("webhook_delivered", 1), ("webhook_failed", 1), ("webhook_pending", 1), ("webhook_history", 2)]
        {
            let found = format!("SELECT string_agg(entity_id, ',') FROM hydra.{view} WHERE event_uuid = '{id}'");
            assert_eq!(bench.ask::<String>(&found), vec![entity.as_str(); rows].join(","), "{view}");
        }
    }
    // Also before anything was attempted.
    bench.run("SELECT hydra.webhook_pause(id) FROM hydra.webhook_subscriptions");
    bench.run("BEGIN; SELECT hydra.webhook_resume(id) FROM hydra.webhook_subscriptions");
    bench.emit_ticket(3);
    let same =
        "SELECT count(DISTINCT event_uuid) = 1 AND count(*) = 3 FROM hydra.webhook_pending WHERE entity_id = '3'";
    assert!(bench.ask::<bool>(same));
    bench.run("ROLLBACK");
}

#[test]
fn a_deleted_subscription_keeps_its_name_in_history_and_failed_deliveries_whatever_deleted_it() {
    let mut bench = bench("finding_deleted");
    bench.receiver.answer("/", Answer::status(500));
    for (name, deletion) in [
        ("function", "SELECT hydra.webhook_delete(id) FROM hydra.webhook_subscriptions"),
        ("statement", "DELETE FROM hydra.subscription"),
        ("truncation", "TRUNCATE hydra.subscription CASCADE"),
    ] {
        bench.subscribe("/", "ticket.created", &[&format!("name => '{name}'"), "retry_schedule => '{}'"]);
        bench.emit_ticket(name);
        bench.wait_for_count(&format!("webhook_failed WHERE entity_id = '{name}'"), 1);
        bench.run(deletion);
    }
    let url = bench.receiver.url("/");
    for view in ["webhook_failed", "webhook_history"] {
        let names = format!(
            "SELECT string_agg(name, ',' ORDER BY name) FROM hydra.{view} WHERE name = entity_id AND url = '{url}'"
        );
        assert_eq!(bench.ask::<String>(&names), "function,statement,truncation", "{view}");
    }
    // Whoever may not manage sees of their URLs what is not secret.
    let mut analyst = bench.session_of_new_role("analyst_of_deleted", &["hydra_analyst"]);
    let seen = "SELECT string_agg(DISTINCT url, ',') FROM (SELECT url FROM hydra.webhook_failed UNION SELECT url FROM hydra.webhook_history) AS u";
    let shown: String = testkit::ask(&mut analyst, seen);
    assert!(shown.ends_with("/…") && !shown.contains(','), "{shown}");

    // One that comes back, from a dump for example, is no former one.
    bench.run(
        "INSERT INTO hydra.subscription (id, name, url, event_types)
         SELECT id, 'back', url, '{ticket.created}' FROM hydra.former_subscription WHERE name = 'statement'",
    );
    assert_eq!(bench.count("former_subscription"), 2);
    assert_eq!(bench.count("webhook_history WHERE name = 'back'"), 1);

    // Names are kept as long as the history.
    bench.run("UPDATE hydra.former_subscription SET deleted_at = now() - interval '32 days' WHERE name = 'function'");
    bench.run("SELECT pg_reload_conf()");
    bench.wait_for_count("former_subscription", 1);
    assert_eq!(bench.count("webhook_history WHERE name IS NULL AND entity_id = 'function'"), 1);
}
