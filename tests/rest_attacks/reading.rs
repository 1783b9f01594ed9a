//! Rows of other tenants, relations and columns that are not shown: by ids, filters, orders, cursors and paths.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::world::{NOBODYS, THEIRS};
use crate::{World, attack};

#[test]
fn no_row_of_another_tenant_is_read_by_its_id() {
    let mut world = World::new("attack_ids");
    let owner = world.owner.clone();
    let etag = world.ask(&owner, &attack("their row", "GET", &format!("tickets/{THEIRS}")));
    let etag = etag.header("etag").expect("an ETag").to_owned();
    world.withstands(vec![
        attack("a row of another tenant is read by its id", "GET", "tickets/§").values(THEIRS, NOBODYS).owner(200),
        attack("an escaped id finds it", "GET", "tickets/§").values("%37%30%30%37", "%39%39%39%39").owner(200),
        attack("an id with space around it finds it", "GET", "tickets/%20§%20").values(THEIRS, NOBODYS).owner(200),
        attack("HEAD tells that it exists", "HEAD", "tickets/§").values(THEIRS, NOBODYS).owner(200),
        attack("its ETag tells that it exists", "GET", &format!("tickets/{THEIRS}"))
            .header("If-None-Match", "§")
            .values(&etag, "\"0123456789abcdef0123456789abcdef\"")
            .owner(304),
        attack("any ETag tells that it exists", "GET", "tickets/§")
            .header("If-None-Match", "*")
            .values(THEIRS, NOBODYS)
            .owner(304),
        attack("an id beyond 2^64 becomes that of the row", "GET", "tickets/§")
            .values("18446744073709558623", "99999999999999999999"),
        attack("an id with a fraction becomes that of the row", "GET", "tickets/§").values("7007.0", "9999.0"),
        attack("an id with SQL finds it", "GET", "tickets/§").values("0%20OR%20id%3D7007", "0%20OR%20id%3D9999999"),
        attack("a list of ids finds it", "GET", "tickets/1,§").values(THEIRS, NOBODYS),
        attack("a view shows it", "GET", "briefs/§").values(THEIRS, NOBODYS).owner(200),
        attack("a view on a view shows it", "GET", "seen/§").values(THEIRS, NOBODYS).owner(200),
        attack("OPTIONS tells that it exists", "OPTIONS", "tickets/§").values(THEIRS, NOBODYS).status(405),
        attack("a method that the path does not have tells that it exists", "PUT", "tickets/§")
            .values(THEIRS, NOBODYS)
            .status(405),
        attack("a header replaces the method", "GET", "tickets/§")
            .header("X-HTTP-Method-Override", "DELETE")
            .values(THEIRS, NOBODYS)
            .owner(200),
    ]);
}

#[test]
fn no_filter_finds_rows_of_another_tenant() {
    World::new("attack_filters").withstands(vec![
        attack("a filter by the id finds it", "GET", "tickets?id=§").values(THEIRS, NOBODYS).status(200).owner(200),
        attack("it is one of several ids", "GET", "tickets?id[in]=1,§").values(THEIRS, NOBODYS).status(200).owner(200),
        attack("it is after another id", "GET", "tickets?id[gte]=§").values(THEIRS, NOBODYS).status(200).owner(200),
        attack("a filter chooses the tenant", "GET", "tickets?tenant_id=§")
            .values("globex", "nowhere")
            .status(200)
            .owner(200),
        attack("a filter adds a tenant", "GET", "tickets?tenant_id[in]=acme,§")
            .values("globex", "nowhere")
            .status(200)
            .owner(200),
        attack("a filter excludes the own tenant", "GET", "tickets?§")
            .values("tenant_id[ne]=acme", "id[lt]=0")
            .status(200)
            .owner(200),
        attack("a unique value finds it", "GET", "tickets?slug=§")
            .values("theirs-7", "nobodys-7")
            .status(200)
            .owner(200),
        attack("it comes before a unique value", "GET", "tickets?slug[gt]=§")
            .values("theirs-6", "zzz")
            .status(200)
            .owner(200),
        // The attacker has a row with 2^53, and its neighbour is theirs.
        attack("a number beyond 2^53 is rounded", "GET", "tickets?counted=§")
            .values(9_007_199_254_740_993_i64, 9_007_199_254_740_995_i64)
            .status(200)
            .owner(200),
        attack("the second of two filters counts", "GET", "tickets?tenant_id=acme&tenant_id=§")
            .values("globex", "nowhere")
            .status(400),
        attack("an escaped name is another parameter", "GET", "tickets?tenant_id=acme&tenant%5Fid=§")
            .values("globex", "nowhere")
            .status(400),
        attack("an operator is SQL", "GET", "tickets?id[§]=1").values("=1 OR 7007", "=1 OR 9999").status(400),
        attack("a filter is on a column that is not shown", "GET", "tickets?§=hunter2")
            .values("secret", "nothing")
            .status(400),
        attack("a comparison tells a column that is not shown", "GET", "tickets?§[gte]=h")
            .values("secret", "nothing")
            .status(400),
        attack("a filter is on the whole row", "GET", "tickets?§[null]=false")
            .values("hydra_row", "nothing")
            .status(400),
        attack("a filter is on a system column", "GET", "tickets?§[gt]=0").values("xmin", "none").status(400),
    ]);
}

#[test]
fn no_order_and_no_cursor_leads_to_rows_of_another_tenant() {
    let mut world = World::new("attack_cursors");
    let owner = world.owner.clone();
    let page = |path: &'static str| attack("a page", "GET", path);
    let theirs = cursor(&world.ask(&owner, &page("tickets?limit=1")).json());
    let own = world.attacker.clone();
    let mine = cursor(&world.ask(&own, &page("tickets?limit=1")).json());
    let sorted = cursor(&world.ask(&own, &page("tickets?limit=1&sort=counted")).json());
    world.withstands(vec![
        attack("an order begins with another tenant", "GET", "tickets?sort=§")
            .values("-tenant_id", "-id")
            .status(200)
            .owner(200),
        attack("an order is by a column that is not shown", "GET", "tickets?sort=§")
            .values("secret", "nothing")
            .status(400),
        attack("an order is SQL", "GET", "tickets?sort=§").values("(SELECT 1)", "(SELECT 2)").status(400),
        attack("a cursor of another tenant goes on in its list", "GET", "tickets?cursor=§")
            .values(&theirs, at(&mine, json!([NOBODYS.to_string()])))
            .status(200)
            .owner(200),
        attack("a forged cursor begins before a row of another tenant", "GET", "tickets?cursor=§")
            .values(at(&mine, json!([(THEIRS - 1).to_string()])), at(&mine, json!([NOBODYS.to_string()])))
            .status(200)
            .owner(200),
        attack("a forged cursor begins at their values", "GET", "tickets?sort=counted&cursor=§")
            .values(at(&sorted, json!(["9007199254740993", "7006"])), at(&sorted, json!(["9007199254740995", "7006"])))
            .status(200)
            .owner(200),
        attack("a forged cursor is SQL", "GET", "tickets?cursor=§")
            .values(at(&mine, json!(["0 OR id = 7007"])), at(&mine, json!(["0 OR id = 9999"])))
            .status(400),
        attack("a forged cursor has more values than the order", "GET", "tickets?cursor=§")
            .values(at(&mine, json!(["1", "7007"])), at(&mine, json!(["1", "9999"])))
            .status(400),
        attack("a forged cursor has a null where none can be", "GET", "tickets?cursor=§")
            .values(at(&mine, json!([null])), at(&mine, json!([1])))
            .status(400),
    ]);
}

fn cursor(page: &Value) -> String {
    page["next_cursor"].as_str().expect("a cursor").to_owned()
}

/// Returns a cursor of the same list at another position.
fn at(cursor: &str, position: Value) -> String {
    let mut whole: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(cursor).expect("base64")).expect("JSON");
    whole[1] = position;
    URL_SAFE_NO_PAD.encode(whole.to_string())
}

#[test]
fn no_path_leads_to_what_is_not_shown() {
    let mut world = World::new("attack_paths");
    let operator = world.operator.clone();
    world.withstands(vec![
        attack("a resource without tenants is shown", "GET", "§").values("prices", "nothing").with_key(&operator, 200),
        attack("one of its rows is shown", "GET", "§/1").values("prices", "nothing").with_key(&operator, 200),
        attack("a table that was not exposed is shown", "GET", "§").values("audit", "nothing"),
        attack("its rows are shown", "GET", "§/1").values("audit", "nothing"),
        attack("a name with a schema is a path", "GET", "§").values("public.ticket", "public.nothing"),
        attack("a table of ours is a path", "GET", "§").values("hydra.api_key", "hydra.nothing"),
        attack("a catalog is a path", "GET", "§/1").values("pg_authid", "pg_nothing"),
        attack("an escaped name is a path", "GET", "§/7007").values("%74ickets", "%78ickets"),
        attack("a name in capitals is a path", "GET", "§/7007").values("TICKETS", "NOTHING"),
        attack("an escaped slash leaves the resource", "GET", "tickets/§")
            .values("..%2F..%2Fprices%2F1", "..%2F..%2Fnothing%2F1"),
        attack("two dots leave the resource", "GET", "tickets/../§/1").values("prices", "nothing"),
        attack("an empty part of the path is left out", "GET", "/tickets/§").values(THEIRS, NOBODYS),
        attack("a part after the id is left out", "GET", "tickets/§/").values(THEIRS, NOBODYS),
        attack("a row has members of its own paths", "GET", "tickets/§/account").values(THEIRS, NOBODYS),
        attack("a parameter expands a reference", "GET", "tickets/1?expand=§").values("account", "nothing").status(400),
        attack("a parameter chooses columns", "GET", "tickets?select=§").values("secret", "nothing").status(400),
    ]);
}

#[test]
fn no_header_chooses_the_tenant() {
    const HEADERS: [&str; 8] = [
        "X-Tenant-Id",
        "Tenant-Id",
        "X-Hydra-Tenant",
        "Hydra-Key",
        "Hydra-Tenant",
        "X-Forwarded-User",
        "Authorization",
        "X-Original-URL",
    ];
    let mut by_id = attack("a header chooses the tenant of a row", "GET", &format!("tickets/{THEIRS}"));
    let mut list = attack("a header chooses the tenant of a list", "GET", "tickets").status(200);
    for name in HEADERS {
        (by_id, list) = (by_id.header(name, "§"), list.header(name, "§"));
    }
    World::new("attack_headers")
        .withstands(vec![by_id.values("globex", "nowhere").owner(200), list.values("globex", "nowhere").owner(200)]);
}
