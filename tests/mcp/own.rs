//! The tools that show whether an integration works.

use serde_json::json;
use testkit::receiver::Answer;
use testkit::{PATIENCE, wait_until};

use crate::{ALL, Office, ids};

/// Two tenants, each with a webhook.
const INTEGRATIONS: &str = "
    SELECT hydra.webhook_register_event_type('ticket.updated');
    SELECT hydra.webhook_create('https://hooks.example.com/acme?token=hidden', '{ticket.updated}', tenant_id => 'acme');
    SELECT hydra.webhook_create('https://hooks.example.com/other', '{ticket.updated}', tenant_id => 'other')";

#[test]
fn webhooks_are_shown_without_what_may_be_secret_and_only_those_of_the_tenant() {
    let mut office = Office::open("own_webhooks");
    office.bench.run(INTEGRATIONS);
    let result = office.data(&office.key, "webhook_subscriptions", json!({"status": "active"}));
    assert_eq!(result["data"].as_array().unwrap().len(), 1, "{result}");
    assert!(result["data"][0]["url"].as_str().unwrap().starts_with("https://hooks.example.com"), "{result}");
    assert!(!result.to_string().contains("hidden"), "{result}");
    let all = office.key(ALL, "tenant_id => NULL");
    assert_eq!(office.data(&all, "webhook_subscriptions", json!({}))["data"].as_array().unwrap().len(), 2);
    let explanation = office.explanation(&office.key, "webhook_subscriptions", json!({"status": "gone"}));
    assert!(explanation.contains("active, paused, disabled"), "{explanation}");
}

#[test]
fn deliveries_that_failed_are_shown_with_their_error() {
    let mut office = Office::open("own_failures");
    let (id, _) = office.bench.subscribe("/gone", "ticket.created", &["tenant_id => 'acme'", "retry_schedule => '{}'"]);
    office.bench.receiver.answer("/gone", Answer::status(500));
    office.bench.run("SELECT hydra.webhook_emit('ticket.created', '{\"id\": 1}', 'acme')");
    office.bench.wait_for_failed_delivery();
    let failures = office.data(&office.key, "webhook_failures", json!({"subscription_id": id}));
    assert_eq!(failures["data"][0]["state"], "failed", "{failures}");
    assert!(failures["data"][0]["error"].as_str().unwrap().contains("500"), "{failures}");
    let other = office.key(ALL, "tenant_id => 'other'");
    assert_eq!(office.data(&other, "webhook_failures", json!({}))["data"], json!([]));
    // What is fixed is no argument.
    assert!(
        office.explanation(&office.key, "webhook_failures", json!({"state": "pending"})).contains("no argument state")
    );
}

#[test]
fn event_types_are_listed() {
    let office = Office::open("own_types");
    let types = office.data(&office.key, "event_types", json!({"limit": 50}));
    let names: Vec<&str> = types["data"].as_array().unwrap().iter().filter_map(|row| row["name"].as_str()).collect();
    assert!(names.contains(&"ticket.created"), "{names:?}");
}

#[test]
fn runs_of_flows_are_shown_newest_first_and_only_those_of_the_tenant() {
    let mut office = Office::open("own_flows");
    office.bench.run(
        "CREATE FUNCTION app.take(argument jsonb) RETURNS text LANGUAGE sql AS $$ SELECT 'taken' $$;
         ALTER FUNCTION app.take(jsonb) OWNER TO app;
         SELECT hydra.flow_create('first', 'ticket.created', 'app.take(jsonb)', tenant_id => 'acme');
         SELECT hydra.flow_create('second', 'ticket.created', 'app.take(jsonb)', tenant_id => 'other')",
    );
    let insert = "INSERT INTO hydra.flow_run (flow_id, inbound_event_id, mode, state, started_at, duration, result, error, sqlstate)
                  SELECT 1 + n % 2, n, 'deployed', CASE WHEN n % 3 = 0 THEN 'failed' ELSE 'done' END, now(), '1 s',
                         CASE WHEN n % 3 = 0 THEN NULL ELSE '{\"n\": 1.50}'::jsonb END, CASE WHEN n % 3 = 0 THEN 'no place' END,
                         CASE WHEN n % 3 = 0 THEN 'P0001' END
                  FROM generate_series(1, 12) AS n";
    office.bench.run(insert);
    let all = office.data(&office.key, "flow_runs", json!({}));
    let expected = ids(&all);
    assert!(expected.len() == 6 && expected.is_sorted_by(|one, other| one > other), "{all}");
    assert!(
        all["data"].as_array().unwrap().iter().all(|run| run["flow"] == "first" && run["duration"] == 1.0),
        "{all}"
    );
    let (mut seen, mut cursor) = (Vec::new(), json!(null));
    for _ in 0..3 {
        let page = office.data(&office.key, "flow_runs", json!({"limit": 2, "cursor": cursor}));
        seen.extend(ids(&page));
        cursor = page["next_cursor"].clone();
    }
    assert_eq!((seen, cursor), (expected, json!(null)));
    let failed = office.data(&office.key, "flow_runs", json!({"state": "failed"}));
    assert!(!ids(&failed).is_empty() && failed["data"][0]["error"] == "no place", "{failed}");
    assert_eq!(office.data(&office.key, "flow_runs", json!({"flow_id": 2}))["data"], json!([]));
    assert!(office.explanation(&office.key, "flow_runs", json!({"cursor": "x"})).contains("cursor"));
}

#[test]
fn the_status_is_shown_to_keys_of_the_whole_installation() {
    let mut office = Office::open("own_status");
    let key = office.key("mcp,webhooks:read", "tenant_id => NULL");
    assert!(office.names(&key).contains(&"system_status".into()));
    assert!(!office.names(&office.key).contains(&"system_status".into()));
    office.bench.run(INTEGRATIONS);
    wait_until("it is running", PATIENCE, || {
        office.data(&key, "system_status", json!({}))["sending"]["state"] == "running"
    });
    let status = office.data(&key, "system_status", json!({}));
    assert_eq!(status["webhooks"], json!({"active": 2, "paused": 0, "disabled": 0}), "{status}");
    assert_eq!(status["deliveries"], json!({"pending": 0, "failed": 0}));
}
