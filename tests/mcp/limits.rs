//! What a model has to read has limits.

use serde_json::json;

use crate::{Office, ids};

/// A result has no more bytes, besides those around it.
const LARGEST: usize = 100_000;

#[test]
fn a_page_of_large_rows_is_shorter_and_the_next_one_goes_on() {
    let mut office = Office::open("limits_page");
    office.bench.run("UPDATE app.tickets SET subject = repeat('x', 9000)");
    let (mut seen, mut cursor) = (Vec::new(), json!(null));
    while seen.len() < 40 {
        let page = office.data(&office.key, "list_tickets", json!({"limit": 50, "cursor": cursor}));
        assert!(page.to_string().len() <= LARGEST, "{} bytes", page.to_string().len());
        seen.extend(ids(&page));
        cursor = page["next_cursor"].clone();
        assert!(cursor.is_string(), "{cursor}");
    }
    let expected: Vec<i64> = (1..=120).filter(|id| id % 10 != 9).take(seen.len()).collect();
    assert_eq!(seen, expected);
}

#[test]
fn a_row_that_no_model_should_read_is_not_returned() {
    let mut office = Office::open("limits_row");
    office.bench.run("UPDATE app.tickets SET subject = repeat('x', 200000) WHERE id = 1");
    for (tool, arguments) in [("get_tickets", json!({"id": 1})), ("list_tickets", json!({"limit": 1}))] {
        let explanation = office.explanation(&office.key, tool, arguments);
        assert!(explanation.contains("a tool returns at most 100000"), "{explanation}");
    }
}

#[test]
fn a_database_with_many_tables_has_a_list_with_pages() {
    let mut office = Office::open("limits_tables");
    office.bench.run(
        "DO $$ BEGIN FOR n IN 1..30 LOOP
             EXECUTE format('CREATE TABLE app.t%s (id int PRIMARY KEY, tenant_id text)', n);
             PERFORM hydra.api_expose(format('app.t%s', n)::regclass);
         END LOOP; END $$",
    );
    let scopes: Vec<String> = (1..=30).map(|n| format!("t{n}:read")).collect();
    let key = office.key(&format!("mcp,{}", scopes.join(",")), "tenant_id => 'acme'");
    let (mut names, mut cursor) = (Vec::new(), json!(null));
    loop {
        let result = office.request(&key, "tools/list", json!({"cursor": cursor})).json()["result"].take();
        let page = result["tools"].as_array().unwrap().clone();
        assert!(page.len() <= 50 && result["cacheScope"] == "private", "{result}");
        names.extend(page.iter().map(|tool| tool["name"].as_str().unwrap().to_owned()));
        cursor = result["nextCursor"].clone();
        if cursor.is_null() {
            break;
        }
    }
    assert!(names.len() == 60 && names.is_sorted(), "{names:?}");
}
