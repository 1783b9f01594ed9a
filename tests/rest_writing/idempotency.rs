//! Idempotency-Key: a request that is repeated has its effect once, and gets its answer again.

use serde_json::json;
use testkit::run;

use crate::{Call, Shop, cluster, create_key};

fn keyed(shop: &Shop, key: &str, body: &str) -> Call {
    shop.call("POST", "/api/v1/tickets").header("Idempotency-Key", key).body(body)
}

const BODY: &str = r#"{"subject": "once"}"#;

#[test]
fn a_request_that_is_repeated_gets_the_same_answer() {
    let mut shop = Shop::new("repeated");
    let call = keyed(&shop, "k1", BODY);
    let first = call.make(&mut shop.gateway);
    assert_eq!((first.status, first.header("idempotency-replayed")), (201, None));
    // What has happened to the row since then does not matter.
    assert_eq!(shop.patch("/api/v1/tickets/1", r#"{"subject": "changed"}"#).status, 200);
    let again = call.make(&mut shop.gateway);
    assert_eq!((again.status, &again.body, again.header("idempotency-replayed")), (201, &first.body, Some("true")));
    for name in ["etag", "location", "content-type"] {
        assert_eq!(again.header(name), first.header(name), "{name}");
    }
    assert_ne!(again.header("x-request-id"), first.header("x-request-id"));
    assert_eq!(shop.delete("/api/v1/tickets/1").status, 204);
    assert_eq!(call.make(&mut shop.gateway).body, first.body);
    assert_eq!(shop.tickets(), 0);
}

#[test]
fn changes_and_removals_are_repeated_too() {
    let mut shop = Shop::new("repeated_changes");
    let etag = shop.ticket(BODY).header("etag").unwrap().to_owned();
    // The condition held when the request was answered.
    let patch = shop.call("PATCH", "/api/v1/tickets/1").header("If-Match", &etag).header("Idempotency-Key", "p");
    let patch = patch.body(r#"{"slug": "x"}"#);
    let changed = patch.make(&mut shop.gateway);
    let again = patch.make(&mut shop.gateway);
    assert_eq!((changed.status, again.status, &again.body), (200, 200, &changed.body));
    let delete = shop.call("DELETE", "/api/v1/tickets/1").header("Idempotency-Key", "d");
    for _ in 0..2 {
        assert_eq!(delete.make(&mut shop.gateway).status, 204);
    }
}

#[test]
fn a_key_that_was_used_for_another_request_is_refused() {
    let mut shop = Shop::new("reused");
    keyed(&shop, "k", BODY).make(&mut shop.gateway);
    for call in [
        keyed(&shop, "k", r#"{"subject": "other"}"#),
        shop.call("PATCH", "/api/v1/tickets/1").header("Idempotency-Key", "k").body(BODY),
        shop.call("DELETE", "/api/v1/tickets/1").header("Idempotency-Key", "k").body(BODY),
    ] {
        let refused = call.make(&mut shop.gateway);
        assert_eq!((refused.status, refused.header("idempotency-replayed")), (422, None), "{refused:?}");
        assert!(!refused.body.contains("once"), "{refused:?}");
    }
    assert_eq!(shop.tickets(), 1);
}

#[test]
fn a_key_belongs_to_the_api_key_that_used_it() {
    let mut shop = Shop::new("apart");
    let other = create_key(&mut shop.bench.client, "tenant_id => 'acme'");
    let theirs = create_key(&mut shop.bench.client, "tenant_id => 'globex'");
    let call = keyed(&shop, "k", BODY);
    for key in [shop.key.clone(), other, theirs] {
        let answer = call.clone().key(&key).make(&mut shop.gateway);
        assert_eq!((answer.status, answer.header("idempotency-replayed")), (201, None));
    }
    assert_eq!(shop.tickets(), 3);
}

#[test]
fn a_refusal_is_repeated_too() {
    let mut shop = Shop::new("refused_again");
    let call = keyed(&shop, "k", r#"{"subject": "x", "status": "lost"}"#);
    let first = call.make(&mut shop.gateway);
    shop.bench.run("ALTER TABLE public.ticket DROP CONSTRAINT ticket_status_check");
    let again = call.make(&mut shop.gateway);
    assert_eq!((first.status, again.status, &again.body), (422, 422, &first.body));
    assert_eq!(again.header("content-type"), Some("application/problem+json"));
}

#[test]
fn an_answer_that_may_change_is_not_kept() {
    let mut shop = Shop::new("not_kept");
    let call = keyed(&shop, "k", BODY);
    shop.bench.run("REVOKE INSERT ON public.ticket FROM shop");
    assert_eq!(call.make(&mut shop.gateway).status, 403);
    shop.bench.run("GRANT INSERT ON public.ticket TO shop");
    let mut blocker = shop.bench.session();
    run(&mut blocker, "BEGIN; LOCK TABLE public.ticket");
    assert_eq!(call.make(&mut shop.gateway).status, 503);
    run(&mut blocker, "ROLLBACK");
    shop.bench.run(
        "CREATE FUNCTION public.break() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM public.absent(); END $$;
         CREATE TRIGGER break BEFORE INSERT ON public.ticket FOR EACH ROW EXECUTE FUNCTION public.break()",
    );
    assert_eq!(call.make(&mut shop.gateway).status, 500);
    shop.bench.run("DROP TRIGGER break ON public.ticket");
    assert_eq!(shop.bench.count("api_idempotency"), 0);
    assert_eq!(call.make(&mut shop.gateway).status, 201);
    assert_eq!(call.make(&mut shop.gateway).header("idempotency-replayed"), Some("true"));
}

#[test]
fn eight_requests_at_the_same_time_have_one_effect() {
    let mut shop = Shop::new("eight");
    let call = keyed(&shop, "k", BODY);
    let answers: Vec<_> = std::thread::scope(|scope| {
        let requests: Vec<_> = (0..8)
            .map(|_| {
                let call = &call;
                scope.spawn(move || {
                    let mut gateway = cluster().connect_as("eight", "far_gateway");
                    loop {
                        let answer = call.make(&mut gateway);
                        // It has waited for the first for as long as a request waits, and may be repeated.
                        if answer.status != 409 {
                            return answer;
                        }
                        assert_eq!(answer.header("retry-after"), Some("1"));
                    }
                })
            })
            .collect();
        requests.into_iter().map(|request| request.join().unwrap()).collect()
    });
    assert_eq!(shop.tickets(), 1);
    assert!(answers.iter().all(|answer| answer.status == 201 && answer.body == answers[0].body), "{answers:?}");
    assert_eq!(answers.iter().filter(|answer| answer.header("idempotency-replayed").is_none()).count(), 1);
}

#[test]
fn a_request_waits_for_one_with_the_same_key_and_no_longer_than_for_a_lock() {
    let mut shop = Shop::new("in_progress");
    let mut other = cluster().connect_as("in_progress", "far_gateway");
    let call = keyed(&shop, "k", BODY);
    run(&mut other, "BEGIN");
    assert_eq!(call.begin(&mut other).status, 201);
    let waiting = call.make(&mut shop.gateway);
    assert_eq!((waiting.status, waiting.header("retry-after")), (409, Some("1")));
    // If the first is rolled back, it has had no effect, and the other one has.
    run(&mut other, "ROLLBACK");
    assert_eq!(call.make(&mut shop.gateway).header("idempotency-replayed"), None);
    assert_eq!(shop.tickets(), 1);
}

#[test]
fn a_key_has_up_to_255_bytes() {
    let mut shop = Shop::new("long_keys");
    for (key, status) in
        [("", 400), ("x", 201), (&"x".repeat(255), 201), (&"x".repeat(256), 400), ("ä\u{1F600}'\"\\", 201)]
    {
        assert_eq!(keyed(&shop, key, BODY).make(&mut shop.gateway).status, status, "{key}");
    }
}

#[test]
fn a_request_that_is_refused_for_its_scope_is_not_kept_nor_repeated() {
    let mut shop = Shop::new("scope_lost");
    let call = keyed(&shop, "k", BODY);
    assert_eq!(call.make(&mut shop.gateway).status, 201);
    shop.bench.run("UPDATE hydra.api_key SET scopes = '{tickets:read}'");
    assert_eq!(call.make(&mut shop.gateway).status, 403);
}

#[test]
fn answers_are_kept_for_a_day() {
    let mut shop = Shop::new("kept");
    for key in ["old", "new"] {
        assert_eq!(keyed(&shop, key, BODY).make(&mut shop.gateway).status, 201);
    }
    shop.bench
        .run("UPDATE hydra.api_idempotency SET created_at = now() - interval '25 hours' WHERE idempotency_key = 'old'");
    let heartbeat =
        json!({"gateway": "00000000-0000-0000-0000-000000000001", "version": "1", "address": "x", "requests": 0});
    let row = shop.gateway.query_one(
        "SELECT status FROM hydra.serve(1, 'gateway', NULL, 'POST', '/heartbeat', '', '[]', $1, NULL)",
        &[&heartbeat.to_string().as_bytes()],
    );
    assert_eq!(row.unwrap().get::<_, i32>(0), 200);
    assert_eq!(shop.bench.ask::<String>("SELECT string_agg(idempotency_key, ',') FROM hydra.api_idempotency"), "new");
}
