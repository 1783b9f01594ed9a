//! Webhooks, deliveries, event types, inbound events and flows over REST.

use serde_json::{Value, json};
use testkit::receiver::Answer as Reply;
use testkit::{Bench, PATIENCE, wait_until};

use crate::{cluster, get, key, refused, request, request_with};

const EVERYTHING: &str = "webhooks:read,webhooks:manage,inbound:read,flows:read";

/// Webhooks of two tenants that fail, an adapter with an event, and a flow, of each tenant.
struct Desk {
    bench: Bench<'static>,
    /// The webhook of the tenant `acme`, and that of the tenant `birch`.
    webhooks: [i64; 2],
}

impl Desk {
    fn new(database: &str) -> Self {
        let mut bench = Bench::new(cluster(), database);
        bench.receiver.answer("/down", Reply::status(503).with_body("out of order"));
        let webhooks = ["acme", "birch"].map(|tenant| {
            let more = format!("tenant_id => '{tenant}'");
            bench.subscribe("/down", "ticket.created", &[&more, "name => 'CRM'", "retry_schedule => '{}'"]).0
        });
        for tenant in ["acme", "birch"] {
            bench.emit("ticket.created", &format!(r#"{{"id": "1", "tenant_id": "{tenant}"}}"#));
        }
        bench.wait_for_count("webhook_failed", 2);
        bench.run(
            "CREATE TABLE public.seen (id text);
             ALTER TABLE public.seen OWNER TO flow_owner;
             CREATE FUNCTION public.see(event jsonb) RETURNS void LANGUAGE sql AS
                 $$ INSERT INTO public.seen VALUES (event ->> 'entity_id') $$;
             ALTER FUNCTION public.see(jsonb) OWNER TO flow_owner;
             SELECT hydra.flow_create('See it for ' || tenant, 'ticket.created', 'public.see', tenant_id => tenant)
             FROM unnest('{acme,birch}'::text[]) AS tenant;
             INSERT INTO hydra.inbound_adapter (name, tenant_id, mapping)
             SELECT 'Curl', tenant, '{\"*\": \"ticket.created\"}' FROM unnest('{acme,birch}'::text[]) AS tenant;
             INSERT INTO hydra.inbound_event (adapter_id, external_id, tenant_id, payload, state, reason, finished_at)
             SELECT a.id, 'x-' || n, a.tenant_id, '{\"n\":1.10}', 'unmatched', 'there is no flow', now()
             FROM hydra.inbound_adapter AS a CROSS JOIN generate_series(1, 3) AS n",
        );
        Self { bench, webhooks }
    }

    fn key(&mut self, scopes: &str, tenant: &str) -> String {
        key(&mut self.bench.client, scopes, tenant)
    }

    #[track_caller]
    fn get(&mut self, key: &str, path: &str) -> Value {
        get(&mut self.bench.client, key, path)
    }

    #[track_caller]
    fn refused(&mut self, key: &str, method: &str, path: &str, status: i32) -> Value {
        refused(&mut self.bench.client, key, method, path, status)
    }

    /// The ids of a list.
    #[track_caller]
    fn ids(&mut self, key: &str, path: &str) -> Vec<Value> {
        let list = self.get(key, path);
        list["data"].as_array().expect("a list").iter().map(|one| one["id"].clone()).collect()
    }
}

#[test]
fn a_key_sees_webhooks_without_secrets_and_whole_urls_only_if_it_may_manage_them() {
    let mut desk = Desk::new("own_webhooks");
    let id = desk.webhooks[0];
    let (reads, manages) = (desk.key("webhooks:read", "NULL"), desk.key("webhooks:manage", "NULL"));
    let path = format!("/api/v1/webhooks/{id}");
    let shown = desk.get(&reads, &path);
    assert!(shown["url"].as_str().unwrap().ends_with("/…"), "{shown}");
    let whole = desk.get(&manages, &path);
    assert_eq!(whole["url"], json!(desk.bench.receiver.url("/down")));
    assert_eq!((&whole["name"], &whole["status"], &whole["failed"]), (&json!("CRM"), &json!("active"), &json!(1)));
    assert_eq!((&whole["timeout"], &whole["retry_schedule"]), (&json!(8), &json!([])));
    let secret: String =
        desk.bench.ask(&format!("SELECT secret FROM hydra.signing_secret WHERE subscription_id = {id}"));
    assert!(!shown.to_string().contains(&secret) && !whole.to_string().contains(&secret));

    let other = desk.key("flows:read", "NULL");
    let problem = desk.refused(&other, "GET", "/api/v1/webhooks", 403);
    assert!(problem["detail"].as_str().unwrap().contains("webhooks:read"), "{problem}");
    for method in ["PATCH", "DELETE"] {
        desk.refused(&reads, method, &path, 403);
    }
}

#[test]
fn lists_have_pages_that_a_cursor_leads_to_and_unknown_parameters_are_refused() {
    let mut desk = Desk::new("own_pages");
    let key = desk.key(EVERYTHING, "NULL");
    for (path, expected) in [("webhooks", 2), ("webhook_deliveries", 2), ("inbound_events", 6), ("flows", 2)] {
        let (mut path, mut seen) = (format!("/api/v1/{path}?limit=1"), Vec::new());
        let whole = path.replace("limit=1", "limit=100");
        loop {
            let answer = request(&mut desk.bench.client, &key, "GET", &path);
            assert_eq!(answer.status, 200, "{path}: {answer:?}");
            let page = answer.json();
            seen.extend(page["data"].as_array().unwrap().iter().map(|one| one["id"].clone()));
            assert_eq!(page["has_more"], json!(page["next_cursor"].is_string()), "{page}");
            let Some(next) = page["next_cursor"].as_str() else { break };
            let link = answer.header("link").expect("a link");
            assert!(link.ends_with("; rel=\"next\"") && link.contains(next), "{link}");
            path = link[1..].split('>').next().expect("a URL").to_owned();
        }
        assert_eq!(seen.len(), expected, "{path}");
        assert_eq!(seen, desk.ids(&key, &whole), "{path}");
    }
    let types = desk.get(&key, "/api/v1/event_types?limit=1&origin=extension");
    let next = types["next_cursor"].as_str().unwrap();
    assert_eq!(types["data"][0]["name"], "webhook.delivery_failed");
    let rest = desk.get(&key, &format!("/api/v1/event_types?origin=extension&cursor={next}"));
    assert_eq!(rest["data"][0]["name"], "webhook.subscription_disabled");
    assert_eq!(desk.get(&key, "/api/v1/event_types/ticket.created")["entity_type"], "ticket");

    let other = format!("/api/v1/event_types?cursor={next}");
    for wrong in [
        "/api/v1/webhooks?limit=0",
        "/api/v1/webhooks?limit=101",
        "/api/v1/webhooks?limit=x",
        "/api/v1/webhooks?colour=red",
        "/api/v1/webhooks?limit=1&limit=2",
        "/api/v1/webhooks?cursor=x",
        "/api/v1/webhooks/1?x=1",
        &other,
    ] {
        let problem = desk.refused(&key, "GET", wrong, 400);
        assert!(problem["errors"][0]["field"].is_string(), "{wrong}: {problem}");
    }
    for wrong in ["/api/v1/webhooks?status=red", "/api/v1/inbound_events?adapter_id=x"] {
        desk.refused(&key, "GET", wrong, 422);
    }
    assert_eq!(desk.ids(&key, "/api/v1/webhooks?status=paused"), Vec::<Value>::new());
    for wrong in
        ["webhooks/x", "webhooks/99", "webhook_deliveries/1", "event_types/a.b", "flows/1/x", "flows/-1", "flows/+1"]
    {
        desk.refused(&key, "GET", &format!("/api/v1/{wrong}"), 404);
    }
}

#[test]
fn a_key_of_a_tenant_sees_and_changes_only_what_belongs_to_it() {
    let mut desk = Desk::new("own_tenants");
    let (acme, all) = (desk.key(EVERYTHING, "'acme'"), desk.key(EVERYTHING, "NULL"));
    for name in ["webhooks", "webhook_deliveries", "inbound_events", "flows"] {
        let list = format!("/api/v1/{name}");
        let (own, every) = (desk.ids(&acme, &list), desk.ids(&all, &list));
        assert_eq!(own.len() * 2, every.len(), "{name}");
        for id in every.iter().filter(|id| !own.contains(id)) {
            let id = id.as_str().map_or_else(|| id.to_string(), str::to_owned);
            desk.refused(&acme, "GET", &format!("{list}/{id}"), 404);
            if name == "webhook_deliveries" {
                for action in ["retry", "cancel"] {
                    desk.refused(&acme, "POST", &format!("{list}/{id}/{action}"), 404);
                }
            }
        }
        let birch = desk.webhooks[1];
        if name == "webhook_deliveries" {
            assert!(desk.ids(&acme, &format!("{list}?subscription_id={birch}")).is_empty());
        }
    }
    assert_eq!(desk.bench.count("webhook_failed"), 2, "nothing was changed");
}

#[test]
fn a_delivery_that_was_given_up_is_sent_again_or_cancelled() {
    let mut desk = Desk::new("own_deliveries");
    let (reads, manages) = (desk.key("webhooks:read", "NULL"), desk.key("webhooks:manage", "NULL"));
    let list = format!("/api/v1/webhook_deliveries?state=failed&subscription_id={}", desk.webhooks[0]);
    let id = desk.ids(&reads, &list)[0].as_str().unwrap().to_owned();
    let path = format!("/api/v1/webhook_deliveries/{id}");
    let one = desk.get(&reads, &path);
    assert_eq!((&one["state"], &one["attempts"], &one["error_class"]), (&json!("failed"), &json!(1), &json!("status")));
    assert_eq!(
        (&one["history"][0]["status_code"], &one["history"][0]["response_excerpt"]),
        (&json!(503), &json!("out of order"))
    );
    desk.refused(&reads, "POST", &format!("{path}/retry"), 403);
    desk.refused(&manages, "GET", &format!("{path}/retry"), 405);

    desk.bench.receiver.answer("/down", Reply::ok());
    let again = request(&mut desk.bench.client, &manages, "POST", &format!("{path}/retry"));
    assert_eq!((again.status, &again.json()["state"]), (200, &json!("pending")), "{again:?}");
    wait_until("it has succeeded", PATIENCE, || request(&mut desk.bench.client, &reads, "GET", &path).status == 404);

    let other = desk.ids(&reads, "/api/v1/webhook_deliveries")[0].as_str().unwrap().to_owned();
    let cancel = format!("/api/v1/webhook_deliveries/{other}/cancel");
    desk.refused(&reads, "POST", &cancel, 403);
    let cancelled = request(&mut desk.bench.client, &manages, "POST", &cancel);
    assert_eq!((cancelled.status, cancelled.body.as_str()), (204, ""), "{cancelled:?}");
    desk.refused(&manages, "POST", &cancel, 404);
    assert_eq!(desk.bench.count("webhook_failed"), 0);
}

#[test]
fn a_delivery_that_has_succeeded_and_is_kept_is_shown_with_its_answer_and_sent_again() {
    let mut desk = Desk::new("own_kept");
    let (manages, other) = (desk.key("webhooks:manage", "NULL"), desk.key("webhooks:manage", "'nobody'"));
    desk.bench.run(&format!("SELECT hydra.webhook_update({}, keep_bodies => '1 day')", desk.webhooks[0]));
    desk.bench.receiver.answer("/down", Reply::status(202).with_body("thanks"));
    let failed = format!("/api/v1/webhook_deliveries?state=failed&subscription_id={}", desk.webhooks[0]);
    let id = desk.ids(&manages, &failed)[0].as_str().unwrap().to_owned();
    let path = format!("/api/v1/webhook_deliveries/{id}");
    for attempts in 2..=3 {
        let again = request(&mut desk.bench.client, &manages, "POST", &format!("{path}/retry"));
        assert_eq!((again.status, &again.json()["state"]), (200, &json!("pending")), "{again:?}");
        desk.bench.wait_for_count(&format!("webhook_delivered WHERE attempts = {attempts}"), 1);
        let one = desk.get(&manages, &path);
        assert_eq!((&one["state"], &one["attempts"]), (&json!("delivered"), &json!(attempts)), "{one}");
        assert_eq!((&one["status_code"], &one["response_excerpt"]), (&json!(202), &json!("thanks")), "{one}");
        assert!(one["kept_until"].as_str() > one["delivered_at"].as_str() && one["due_at"].is_null(), "{one}");
    }
    assert_eq!(desk.ids(&manages, "/api/v1/webhook_deliveries?state=delivered"), [json!(id)]);
    assert_eq!(desk.ids(&manages, "/api/v1/webhook_deliveries").len(), 2, "the other one has failed");
    desk.refused(&manages, "POST", &format!("{path}/cancel"), 409);
    for (method, path) in [("GET", path.clone()), ("POST", format!("{path}/retry"))] {
        desk.refused(&other, method, &path, 404);
    }
    assert_eq!(desk.bench.count("webhook_delivered"), 1);
}

#[test]
fn a_delivery_is_sent_again_or_cancelled_once_for_each_idempotency_key() {
    let mut desk = Desk::new("own_idempotency");
    let (manages, other) = (desk.key("webhooks:manage", "NULL"), desk.key("webhooks:manage", "NULL"));
    let ids: Vec<String> =
        desk.ids(&manages, "/api/v1/webhook_deliveries").iter().map(|id| id.as_str().unwrap().into()).collect();
    let retry = format!("/api/v1/webhook_deliveries/{}/retry", ids[0]);
    let cancel = format!("/api/v1/webhook_deliveries/{}/cancel", ids[1]);
    let mut act = |key: &str, path: &str, name: &str| {
        let headers = json!([["Idempotency-Key", name]]).to_string();
        request_with(&mut desk.bench.client, key, "POST", path, &headers)
    };
    let first = act(&manages, &retry, "r");
    assert_eq!((first.status, first.header("idempotency-replayed")), (200, None), "{first:?}");
    let again = act(&manages, &retry, "r");
    assert_eq!((again.status, again.header("idempotency-replayed"), &again.body), (200, Some("true"), &first.body));

    assert_eq!(act(&manages, &cancel, "c").status, 204);
    let again = act(&manages, &cancel, "c");
    assert_eq!((again.status, again.header("idempotency-replayed")), (204, Some("true")), "{again:?}");
    assert_eq!(act(&manages, &cancel, "r").status, 422, "it was used for another request");
    assert_eq!(act(&other, &cancel, "c").status, 404, "it belongs to the key that used it");
    let document = desk.get(&manages, "/api/v1/openapi.json");
    for path in ["retry", "cancel"] {
        let parameters = &document["paths"][format!("/webhook_deliveries/{{id}}/{path}")]["post"]["parameters"];
        assert!(parameters.to_string().contains("Idempotency-Key"), "{path}: {parameters}");
    }
}

#[test]
fn an_action_on_a_delivery_cannot_be_rehearsed_and_is_not_taken_for_a_rehearsal() {
    let mut desk = Desk::new("own_rehearsals");
    let key = desk.key("webhooks:manage", "NULL");
    let id = desk.ids(&key, "/api/v1/webhook_deliveries")[0].as_str().unwrap().to_owned();
    for action in ["retry", "cancel"] {
        let path = format!("/api/v1/webhook_deliveries/{id}/{action}");
        let refused = request_with(&mut desk.bench.client, &key, "POST", &path, r#"[["Prefer", "tx=rollback"]]"#);
        assert_eq!(refused.status, 400, "{refused:?}");
    }
    assert_eq!(desk.bench.count("webhook_failed"), 2, "nothing was changed");
}

/// The statement of a list, as it is planned for a key of a tenant.
#[test]
fn inbound_events_of_a_tenant_are_found_by_an_index() {
    let mut desk = Desk::new("own_plan");
    desk.bench.run(&format!(
        "INSERT INTO hydra.inbound_event (adapter_id, tenant_id, payload, state, reason, finished_at)
         SELECT 1, CASE WHEN n % 100 > 0 THEN 'birch' ELSE 'acme' END, '{{}}', 'unmatched', 'none', now() FROM generate_series(1, 5000) AS n;
         ANALYZE hydra.inbound_event; SET plan_cache_mode = force_custom_plan; SET search_path = pg_catalog;
         PREPARE list (text, text, text, text, text, bigint, boolean) AS {}",
        include_str!("../../sql/queries/api_inbound_events.sql")
    ));
    let rows = desk.bench.client.query("EXPLAIN EXECUTE list ('acme', NULL, NULL, NULL, NULL, 51, false)", &[]);
    let plan: Vec<String> = rows.expect("a plan").iter().map(|row| row.get(0)).collect();
    assert!(plan.iter().any(|line| line.contains("inbound_event_tenant")), "{plan:#?}");
}

#[test]
fn what_is_described_is_what_there_is() {
    let mut desk = Desk::new("own_described");
    let key = desk.key(EVERYTHING, "NULL");
    let document = desk.get(&key, "/api/v1/openapi.json");
    for name in ["webhooks", "webhook_deliveries", "event_types", "inbound_events", "flows"] {
        let described = document["components"]["schemas"][name]["properties"].as_object().expect("properties");
        let listed = desk.get(&key, &format!("/api/v1/{name}"))["data"][0].clone();
        let id = listed.get("id").or(listed.get("name")).expect("an id");
        let id = id.as_str().map_or_else(|| id.to_string(), str::to_owned);
        let one = desk.get(&key, &format!("/api/v1/{name}/{id}"));
        let names = |value: &Value| value.as_object().expect("an object").keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&one), described.keys().cloned().collect::<Vec<_>>(), "{name}");
        assert!(names(&listed).iter().all(|member| described.contains_key(member)), "{name}");
        for (member, schema) in described {
            assert!(schema["description"].is_string(), "{name}.{member} has no description");
        }
    }
    let event = desk.ids(&key, "/api/v1/inbound_events")[0].clone();
    let one = request(&mut desk.bench.client, &key, "GET", &format!("/api/v1/inbound_events/{event}"));
    assert!(one.body.contains(r#""payload":{"n":1.10}"#), "as it came: {one:?}");
}
