//! PATCH changes a row.

use serde_json::json;
use testkit::run;

use crate::Shop;

#[test]
fn what_is_given_is_changed_and_the_rest_stays() {
    let mut shop = Shop::new("changed");
    let before = shop.ticket(r#"{"subject": "x", "slug": "s", "tags": ["a"], "number": 7}"#);
    let changed = shop.patch("/api/v1/tickets/1", r#"{"subject": "longer", "slug": null}"#);
    let body = changed.json();
    assert_eq!(changed.status, 200, "{changed:?}");
    assert_eq!(
        (&body["subject"], &body["length"], &body["slug"], &body["tags"], &body["number"]),
        (&json!("longer"), &json!(6), &json!(null), &json!(["a"]), &json!(7))
    );
    assert_ne!(changed.header("etag"), before.header("etag"));
    let read = shop.call("GET", "/api/v1/tickets/1").make(&mut shop.gateway);
    assert_eq!((&read.body, read.header("etag")), (&changed.body, changed.header("etag")));
}

#[test]
fn a_change_of_nothing_is_answered_with_the_row() {
    let mut shop = Shop::new("unchanged");
    shop.bench.run("SELECT hydra.webhook_watch('public.ticket', 'ticket.status_changed', 'update')");
    shop.bench.subscribe("/", "ticket.status_changed", &[]);
    let created = shop.ticket(r#"{"subject": "x"}"#);
    let unchanged = shop.patch("/api/v1/tickets/1", "{}");
    assert_eq!((unchanged.status, unchanged.body), (200, created.body));
    assert_eq!(shop.bench.count("event"), 0);
}

#[test]
fn null_cannot_replace_a_required_value() {
    let mut shop = Shop::new("nulled");
    shop.ticket(r#"{"subject": "x"}"#);
    let refused = shop.patch("/api/v1/tickets/1", r#"{"subject": null}"#);
    assert_eq!((refused.status, refused.errors()), (422, vec![("subject".into(), "required".into())]));
}

#[test]
fn a_row_that_is_not_there_is_not_found() {
    let mut shop = Shop::new("absent");
    for id in ["1", "0", "-1", "x", "1x", "9223372036854775808", "1%20OR%201=1", "%00", "%ff", "1;DROP", "'"] {
        for method in ["PATCH", "DELETE"] {
            let call = shop.call(method, &format!("/api/v1/tickets/{id}")).body(r#"{"subject": "x"}"#);
            assert_eq!(call.make(&mut shop.gateway).status, 404, "{method} {id}");
        }
    }
    for method in ["PATCH", "DELETE", "POST"] {
        assert_eq!(shop.call(method, "/api/v1/absent/1").body("{}").make(&mut shop.gateway).status, 404, "{method}");
    }
}

#[test]
fn a_trigger_that_skips_the_change_leaves_the_row() {
    let mut shop = Shop::new("skipped");
    shop.bench.run(
        "CREATE FUNCTION public.skip() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
         CREATE TRIGGER skip BEFORE UPDATE ON public.ticket FOR EACH ROW EXECUTE FUNCTION public.skip()",
    );
    let created = shop.ticket(r#"{"subject": "x"}"#);
    let answer = shop.patch("/api/v1/tickets/1", r#"{"subject": "y"}"#);
    assert_eq!((answer.status, answer.body), (200, created.body));
}

#[test]
fn a_change_waits_for_another_and_keeps_what_it_has_changed() {
    let mut shop = Shop::new("waiting");
    shop.ticket(r#"{"subject": "x"}"#);
    let mut other = shop.bench.session();
    run(&mut other, "BEGIN; UPDATE public.ticket SET slug = 'mine'");
    let call = shop.call("PATCH", "/api/v1/tickets/1").body(r#"{"subject": "y"}"#);
    let gateway = &mut shop.gateway;
    std::thread::scope(|scope| {
        let changing = scope.spawn(move || {
            loop {
                let answer = call.make(gateway);
                // A machine that is very busy can take longer than a request waits for a lock.
                if answer.status != 503 {
                    return answer;
                }
            }
        });
        let waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = 'waiting'";
        testkit::wait_until("the request waits", testkit::PATIENCE, || shop.bench.ask::<i64>(waits) == 1);
        run(&mut other, "COMMIT");
        let body = changing.join().unwrap().json();
        assert_eq!((&body["subject"], &body["slug"]), (&json!("y"), &json!("mine")));
    });
}

#[test]
fn the_role_of_the_key_needs_the_privileges() {
    let mut shop = Shop::new("privileges");
    shop.ticket(r#"{"subject": "x"}"#);
    shop.bench.run("REVOKE ALL ON public.ticket FROM shop; GRANT SELECT ON public.ticket TO shop");
    for (method, path) in [("POST", ""), ("PATCH", "/1"), ("DELETE", "/1")] {
        let call = shop.call(method, &format!("/api/v1/tickets{path}")).body(r#"{"subject": "y"}"#);
        let refused = call.make(&mut shop.gateway);
        assert_eq!((refused.status, &refused.json()["code"]), (403, &json!("42501")), "{method}");
    }
}

/// Otherwise nobody could make it smaller.
#[test]
fn a_row_that_is_too_large_to_be_shown_can_be_changed_and_removed() {
    let mut shop = Shop::new("too_large");
    shop.bench.run(
        "INSERT INTO public.ticket (tenant_id, subject, details)
         SELECT 'acme', 'large', to_jsonb(repeat('x', 17 << 20)) FROM generate_series(1, 2)",
    );
    let refused = shop.patch("/api/v1/tickets/1", r#"{"subject": "y"}"#);
    assert_eq!((refused.status, refused.errors()), (422, vec![("id".into(), "too_large".into())]));
    assert_eq!(shop.bench.ask::<i64>("SELECT count(*) FROM public.ticket WHERE subject = 'large'"), 2);
    let changed = shop.patch("/api/v1/tickets/1", r#"{"details": null}"#);
    assert_eq!((changed.status, &changed.json()["details"]), (200, &serde_json::Value::Null));
    assert_eq!(shop.delete("/api/v1/tickets/2").status, 204);
}
