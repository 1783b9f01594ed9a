//! Webhooks, deliveries, inbound events and flows of other tenants are read, and deliveries changed.

use testkit::receiver::Answer as Reply;

use crate::{World, attack};

/// One of each, of both tenants; those of the tenant `globex` have the mark.
pub fn with_own(database: &str) -> World {
    let mut world = World::new(database);
    world.bench.receiver.answer("/down", Reply::status(503));
    for (tenant, name) in [("acme", "mine"), ("globex", "Zx7Qk")] {
        let more =
            [format!("tenant_id => '{tenant}'"), format!("name => '{name}'"), "retry_schedule => '{}'".to_owned()];
        world.bench.subscribe("/down", "ticket.created", &more.each_ref().map(String::as_str));
        world.bench.emit("ticket.created", &format!(r#"{{"id": "{name}", "tenant_id": "{tenant}"}}"#));
    }
    world.bench.wait_for_count("webhook_failed", 2);
    world.bench.run(
        "CREATE FUNCTION public.see(event jsonb) RETURNS void LANGUAGE sql AS $$ SELECT $$;
         ALTER FUNCTION public.see(jsonb) OWNER TO flow_owner;
         SELECT hydra.flow_create('Flow ' || mark, 'ticket.created', 'public.see', tenant_id => tenant)
         FROM (VALUES ('acme', 'mine'), ('globex', 'Zx7Qk')) AS t (tenant, mark);
         INSERT INTO hydra.inbound_adapter (id, name, tenant_id, mapping)
         VALUES (71, 'mine', 'acme', '{\"*\": \"ticket.created\"}'), (77, 'Zx7Qk', 'globex', '{\"*\": \"ticket.created\"}');
         INSERT INTO hydra.inbound_event (id, adapter_id, external_id, tenant_id, payload, state, reason, finished_at)
         VALUES (701, 71, 'a', 'acme', '{}', 'unmatched', 'none', now()), (702, 71, 'b', 'acme', '{}', 'unmatched', 'none', now()),
                (7001, 77, 'Zx7Qk-1', 'globex', '{\"a\": \"Zx7Qk\"}', 'unmatched', 'Zx7Qk', now()),
                (7002, 77, 'Zx7Qk-2', 'globex', '{\"a\": \"Zx7Qk\"}', 'unmatched', 'Zx7Qk', now())",
    );
    world
}

#[test]
fn nothing_of_ours_that_belongs_to_another_tenant_is_seen_or_changed() {
    let mut world = with_own("attack_own");
    let mut theirs = |from: &str| -> String { world.bench.ask(&format!("SELECT id::text FROM {from}")) };
    let webhook = theirs("hydra.subscription WHERE tenant_id = 'globex'");
    let delivery = theirs(&format!("hydra.delivery WHERE subscription_id = {webhook}"));
    let flow = theirs("hydra.flow WHERE tenant_id = 'globex'");
    let owner = world.owner.clone();
    let page = world.ask(&owner, &attack("a page", "GET", "inbound_events?limit=1")).json();
    let cursor = page["next_cursor"].as_str().expect("a cursor").to_owned();
    let (digest, _) = cursor.split_once('.').expect("a digest");
    let absent = "00000000-0000-0000-0000-000000000000";
    world.withstands(vec![
        attack("a webhook of another tenant is shown", "GET", "webhooks/§").values(&webhook, 99).owner(200),
        attack("a webhook of another tenant is removed", "DELETE", "webhooks/§").values(&webhook, 99).owner(204),
        attack("a delivery of another tenant is shown", "GET", "webhook_deliveries/§")
            .values(&delivery, absent)
            .owner(200),
        attack("deliveries of another tenant are listed", "GET", "webhook_deliveries?subscription_id=§")
            .values(&webhook, 99)
            .status(200)
            .owner(200),
        attack("a delivery of another tenant is sent again", "POST", "webhook_deliveries/§/retry")
            .values(&delivery, absent)
            .owner(200),
        attack("a delivery of another tenant is cancelled", "POST", "webhook_deliveries/§/cancel")
            .values(&delivery, absent)
            .owner(204),
        attack("an inbound event of another tenant is shown", "GET", "inbound_events/§").values(7001, 99).owner(200),
        attack("inbound events of another tenant are listed", "GET", "inbound_events?adapter_id=§")
            .values(77, 99)
            .status(200)
            .owner(200),
        attack("a cursor of another tenant goes on in its list", "GET", "inbound_events?cursor=§")
            .values(&cursor, format!("{digest}.{}", 9_999_999))
            .status(200)
            .owner(200),
        attack("a flow of another tenant is shown", "GET", "flows/§").values(&flow, 99).owner(200),
        attack("a filter is a parameter of the statement", "GET", "inbound_events?§=globex")
            .values("tenant_id", "nothing")
            .status(400),
        attack("HEAD tells that a webhook exists", "HEAD", "webhooks/§").values(&webhook, 99).owner(200),
    ]);
}

#[test]
fn no_key_without_the_scope_learns_what_there_is_of_ours() {
    let mut world = with_own("attack_own_scopes");
    let delivery: String = world.bench.ask("SELECT id::text FROM hydra.delivery LIMIT 1");
    let (reads, tickets) = (world.key("webhooks:read"), world.key("tickets:read,tickets:write"));
    let absent = "00000000-0000-0000-0000-000000000000";
    let retried = |name, path| attack(name, "POST", path).keys(&reads, &reads).values(&delivery, absent).status(403);
    world.withstands(vec![
        retried("a key that reads sends a delivery again", "webhook_deliveries/§/retry"),
        retried("a key that reads cancels a delivery", "webhook_deliveries/§/cancel"),
        attack("a key of rows sees a webhook", "GET", "webhooks/§").keys(&tickets, &tickets).values(1, 99).status(403),
        attack("a key of rows sees an event", "GET", "inbound_events/§")
            .keys(&tickets, &tickets)
            .values(701, 99)
            .status(403),
        attack("a key of rows sees a flow", "GET", "flows/§").keys(&tickets, &tickets).values(1, 99).status(403),
    ]);
}
