//! What the API writes is sent as what the API shows.

use testkit::receiver::Request;

use crate::Shop;

const COLUMNS: &str =
    "id,tenant_id,subject,status,account_id,slug,number,amount,counted,urgent,tags,details,due_at,code,length";

/// The text of the entity in the body of a request of the preset `hydra`.
fn entity(request: &Request) -> &str {
    let (_, rest) = request.text().split_once("\"entity\":").expect("an entity");
    rest.rsplit_once("},\"timestamp\"").expect("a timestamp").0
}

#[test]
fn the_entity_of_the_webhook_is_the_body_of_the_answer_byte_for_byte() {
    let mut shop = Shop::new("same");
    shop.bench.run(&format!(
        "SELECT hydra.webhook_watch('public.ticket', 'ticket.created', 'insert', \"only\" => '{{{COLUMNS}}}');
         SELECT hydra.webhook_watch('public.ticket', 'ticket.status_changed', 'update', \"only\" => '{{{COLUMNS}}}')"
    ));
    shop.bench.subscribe("/created", "ticket.created", &[]);
    shop.bench.subscribe("/updated", "ticket.status_changed", &[]);
    let body = r#"{"subject": "Grüße \"<&>\" \u2028 \\", "amount": 0.10, "counted": 9007199254740993, "urgent": true,
                   "tags": ["a", null], "details": {"z": 1.50, "a": [null]}, "due_at": "2026-11-26T12:00:00.5+01:00"}"#;
    let call = shop.call("POST", "/api/v1/tickets").header("Idempotency-Key", "k").body(body);
    let created = call.make(&mut shop.gateway);
    assert_eq!(created.status, 201, "{created:?}");
    let again = call.make(&mut shop.gateway);
    let changed = shop.patch("/api/v1/tickets/1", r#"{"status": "closed", "amount": 1e3}"#);
    let sent = shop.bench.wait_for("/created", 1);
    assert_eq!(entity(&sent[0]), created.body);
    assert_eq!(again.body, created.body);
    assert_eq!(entity(&shop.bench.wait_for("/updated", 1)[0]), changed.body);
    shop.bench.wait_for_empty_queue();
    assert_eq!(shop.bench.receiver.received("/created"), 1);
}

#[test]
fn nothing_is_sent_for_a_request_that_is_refused_or_rehearsed() {
    let mut shop = Shop::new("unsent");
    shop.bench.run("SELECT hydra.webhook_watch('public.ticket', 'ticket.created', 'insert')");
    shop.bench.subscribe("/", "ticket.created", &[]);
    shop.bench.run(
        "CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS
         $$ BEGIN IF NEW.subject = 'bad' THEN RAISE EXCEPTION 'bad'; END IF; RETURN NULL; END $$;
         CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON public.ticket DEFERRABLE INITIALLY DEFERRED
         FOR EACH ROW EXECUTE FUNCTION public.refuse()",
    );
    assert_eq!(shop.post("/api/v1/tickets", r#"{"subject": "bad"}"#).status, 422);
    let call = shop.call("POST", "/api/v1/tickets").header("Prefer", "tx=rollback").body(r#"{"subject": "x"}"#);
    assert_eq!(call.make(&mut shop.gateway).status, 200);
    shop.ticket(r#"{"subject": "good"}"#);
    let sent = shop.bench.wait_for("/", 1);
    shop.bench.wait_for_empty_queue();
    assert_eq!(
        (shop.bench.receiver.received("/"), sent[0].json()["data"]["entity"]["subject"].as_str()),
        (1, Some("good"))
    );
}
