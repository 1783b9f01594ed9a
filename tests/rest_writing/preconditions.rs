//! If-Match: a change of a row that somebody else has changed is refused.

use testkit::run;

use crate::{Answer, Shop};

fn conditional(shop: &mut Shop, method: &'static str, etag: &str, body: &str) -> Answer {
    let call = shop.call(method, "/api/v1/tickets/1").header("If-Match", etag).body(body);
    call.make(&mut shop.gateway)
}

#[test]
fn a_row_that_was_changed_since_it_was_read_is_not_changed() {
    let mut shop = Shop::new("lost");
    let read = shop.ticket(r#"{"subject": "x"}"#);
    let etag = read.header("etag").unwrap().to_owned();
    let first = conditional(&mut shop, "PATCH", &etag, r#"{"subject": "first"}"#);
    assert_eq!(first.status, 200, "{first:?}");
    for method in ["PATCH", "DELETE"] {
        let second = conditional(&mut shop, method, &etag, r#"{"subject": "second"}"#);
        assert_eq!(second.status, 412, "{second:?}");
    }
    assert_eq!(shop.bench.ask::<String>("SELECT subject FROM public.ticket"), "first");
    assert_eq!(conditional(&mut shop, "DELETE", first.header("etag").unwrap(), "").status, 204);
}

#[test]
fn if_match_has_several_etags_or_any() {
    let mut shop = Shop::new("several_etags");
    let etag = shop.ticket(r#"{"subject": "x"}"#).header("etag").unwrap().to_owned();
    for (condition, status) in [
        (format!("\"other\", {etag}"), 200),
        ("*".into(), 200),
        (etag.clone(), 200),
        // A weak tag is not enough to change something.
        (format!("W/{etag}"), 412),
        (etag.trim_matches('"').to_owned(), 412),
        ("\"other\"".into(), 412),
        (String::new(), 412),
    ] {
        assert_eq!(conditional(&mut shop, "PATCH", &condition, "{}").status, status, "{condition}");
    }
    let call = shop.call("PATCH", "/api/v1/tickets/2").header("If-Match", "*").body("{}");
    assert_eq!(call.make(&mut shop.gateway).status, 404);
}

/// Both callers have read the same row. Whoever comes second sees what the first has committed, although it had not when
/// the request began.
#[test]
fn of_two_changes_at_the_same_time_only_one_is_made() {
    let mut shop = Shop::new("racing");
    let etag = shop.ticket(r#"{"subject": "x"}"#).header("etag").unwrap().to_owned();
    let mut other = crate::cluster().connect_as("racing", "far_gateway");
    let change = |subject: &str| {
        let body = format!("{{\"subject\": \"{subject}\"}}");
        shop.call("PATCH", "/api/v1/tickets/1").header("If-Match", &etag).body(&body)
    };
    let (first, second) = (change("first"), change("second"));
    run(&mut other, "BEGIN");
    assert_eq!(first.begin(&mut other).status, 200);
    let gateway = &mut shop.gateway;
    std::thread::scope(|scope| {
        let changing = scope.spawn(move || {
            loop {
                let answer = second.make(gateway);
                if answer.status != 503 {
                    return answer;
                }
            }
        });
        let waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = 'racing'";
        testkit::wait_until("the request waits", testkit::PATIENCE, || shop.bench.ask::<i64>(waits) == 1);
        run(&mut other, "COMMIT");
        assert_eq!(changing.join().unwrap().status, 412);
    });
    assert_eq!(shop.bench.ask::<String>("SELECT subject FROM public.ticket"), "first");
}

/// An ETag is a hash of what the key sees, so it says nothing about columns that the key does not see.
#[test]
fn a_change_of_a_hidden_column_is_no_change() {
    let mut shop = Shop::new("hidden_change");
    let etag = shop.ticket(r#"{"subject": "x"}"#).header("etag").unwrap().to_owned();
    shop.bench.run("UPDATE public.ticket SET note = 'other'");
    assert_eq!(conditional(&mut shop, "PATCH", &etag, "{}").status, 200);
}

/// A row can only be locked by a role that may change it. One that may only remove it removes it, and looks at what it has removed.
#[test]
fn a_role_that_may_remove_rows_and_not_change_them_removes_the_one_that_it_has_read() {
    let mut shop = Shop::new("removing_only");
    let etag = shop.ticket(r#"{"subject": "x"}"#).header("etag").unwrap().to_owned();
    shop.bench.run("REVOKE UPDATE ON public.ticket FROM shop");
    let refused = conditional(&mut shop, "DELETE", "\"other\"", "");
    assert_eq!((refused.status, shop.tickets()), (412, 1), "{refused:?}");
    let refused = conditional(&mut shop, "PATCH", &etag, r#"{"subject": "y"}"#);
    assert_eq!(refused.status, 403, "{refused:?}");

    // Somebody changes the row between the request reading it and removing it.
    let mut other = shop.bench.session();
    run(&mut other, "BEGIN; UPDATE public.ticket SET subject = 'changed'");
    let call = shop.call("DELETE", "/api/v1/tickets/1").header("If-Match", &etag);
    let gateway = &mut shop.gateway;
    std::thread::scope(|scope| {
        let removing = scope.spawn(move || {
            loop {
                let answer = call.make(gateway);
                if answer.status != 503 {
                    return answer;
                }
            }
        });
        let waits =
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = 'removing_only'";
        testkit::wait_until("the request waits", testkit::PATIENCE, || shop.bench.ask::<i64>(waits) == 1);
        run(&mut other, "COMMIT");
        assert_eq!(removing.join().unwrap().status, 412);
    });
    let now = shop.call("GET", "/api/v1/tickets/1").make(&mut shop.gateway).header("etag").unwrap().to_owned();
    let removed = conditional(&mut shop, "DELETE", &now, "");
    assert_eq!((removed.status, shop.tickets()), (204, 0), "{removed:?}");
}
