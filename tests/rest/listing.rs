//! Pages of a list: which rows each has, whatever happens meanwhile.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::{Answer, Desk, TICKETS};

fn ids(rows: &[Value]) -> Vec<i64> {
    rows.iter().map(|row| row["id"].as_i64().expect("an id")).collect()
}

#[test]
fn pages_follow_each_other_to_the_end_of_the_list() {
    let mut desk = Desk::new("pages");
    desk.bench.run(
        "TRUNCATE app.tickets;
         INSERT INTO app.tickets (id, tenant_id, subject) SELECT n, 'acme', 'x' FROM generate_series(1, 200) AS n",
    );
    let key = desk.key.clone();
    let all: Vec<i64> = (1..=200).collect();
    // Also where the last page is full.
    for limit in [1, 7, 20, 40, 50, 99, 100] {
        assert_eq!(ids(&desk.walk(&key, &format!("/api/v1/tickets?limit={limit}"))), all, "{limit}");
    }
    assert_eq!(desk.get("/api/v1/tickets").ids().len(), 50);
    let backwards: Vec<i64> = (1..=200).rev().collect();
    assert_eq!(ids(&desk.walk(&key, "/api/v1/tickets?sort=-id&limit=30")), backwards);
    desk.bench.run("DELETE FROM app.tickets");
    let empty = desk.get("/api/v1/tickets");
    assert_eq!(empty.body, "{\"data\":[],\"has_more\":false,\"next_cursor\":null}");
}

#[test]
fn rows_that_come_and_go_between_pages_make_no_other_row_come_twice_or_not_at_all() {
    let mut desk = Desk::new("pages_changing");
    desk.bench.run(
        "TRUNCATE app.tickets;
         INSERT INTO app.tickets (id, tenant_id, subject, amount)
         SELECT n, 'acme', 'stays', n % 5 FROM generate_series(1000, 1199) AS n",
    );
    let key = desk.key.clone();
    for sort in ["id", "-id", "amount", "-amount", "amount,-id"] {
        let mut seen: Vec<Value> = Vec::new();
        let mut path = format!("/api/v1/tickets?sort={sort}&limit=13");
        for round in 0.. {
            // At both ends, in the midst, and among equal values; and they are gone again two pages later.
            desk.bench.run(&format!(
                "DELETE FROM app.tickets WHERE subject = 'goes' AND note <= '{:04}';
                 INSERT INTO app.tickets (tenant_id, subject, amount, note, id)
                 SELECT 'acme', 'goes', a, '{round:04}', i + {round} * 10 + a FROM generate_series(-1, 6) AS a, unnest('{{1,2000,100000}}'::int[]) AS i;
                 UPDATE app.tickets SET note = 'touched' WHERE subject = 'stays' AND id % 7 = {round} % 7",
                round - 2,
            ));
            let page = desk.get_as(&key, &path).json();
            seen.extend(page["data"].as_array().expect("rows").iter().cloned());
            let Some(cursor) = page["next_cursor"].as_str() else { break };
            path = format!("/api/v1/tickets?sort={sort}&limit=13&cursor={cursor}");
        }
        let staying: Vec<i64> = ids(&seen.iter().filter(|row| row["subject"] == "stays").cloned().collect::<Vec<_>>());
        let different: BTreeSet<_> = staying.iter().copied().collect();
        assert_eq!((staying.len(), different.len()), (200, 200), "{sort}");
        desk.bench.run("DELETE FROM app.tickets WHERE subject = 'goes'");
    }
}

#[test]
fn writers_at_work_do_not_disturb_a_reader() {
    let mut desk = Desk::new("pages_concurrent");
    desk.bench.run(
        "TRUNCATE app.tickets; ALTER TABLE app.tickets ALTER id RESTART WITH 100000;
         INSERT INTO app.tickets (id, tenant_id, subject, amount)
         SELECT n, 'acme', 'stays', n % 3 FROM generate_series(1, 400) AS n",
    );
    let stop = std::sync::atomic::AtomicBool::new(false);
    let key = desk.key.clone();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            let mut writer = desk.bench.session();
            let stop = &stop;
            scope.spawn(move || {
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    testkit::run(
                        &mut writer,
                        "INSERT INTO app.tickets (tenant_id, subject, amount) SELECT 'acme', 'goes', random() * 3 FROM generate_series(1, 20);
                         DELETE FROM app.tickets WHERE subject = 'goes' AND random() < 0.5",
                    );
                }
            });
        }
        for sort in ["amount", "-amount", "-id"] {
            let path = format!("/api/v1/tickets?sort={sort}&limit=17");
            let rows = desk.walk(&key, &path);
            let staying: Vec<i64> =
                ids(&rows.iter().filter(|row| row["subject"] == "stays").cloned().collect::<Vec<_>>());
            let different: BTreeSet<_> = staying.iter().copied().collect();
            assert_eq!((staying.len(), different.len()), (400, 400), "{sort}");
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    });
}

#[test]
fn numbers_beyond_two_to_the_53_keep_all_their_digits() {
    let mut desk = Desk::new("big_numbers");
    desk.bench.run(
        "TRUNCATE app.tickets;
         INSERT INTO app.tickets (id, tenant_id, subject, amount)
         SELECT 9007199254740990 + n, 'acme', 'x', 9007199254740990 + n FROM generate_series(0, 9) AS n",
    );
    let key = desk.key.clone();
    for sort in ["id", "amount", "-amount"] {
        let rows = desk.walk(&key, &format!("/api/v1/tickets?limit=1&sort={sort}"));
        let mut found = ids(&rows);
        if sort.starts_with('-') {
            found.reverse();
        }
        assert_eq!(found, (9007199254740990..=9007199254740999).collect::<Vec<i64>>(), "{sort}");
    }
    assert_eq!(desk.get("/api/v1/tickets?id=9007199254740993").ids(), [9007199254740993]);
    assert_eq!(desk.get("/api/v1/tickets?amount[gt]=9007199254740998").ids(), [9007199254740999]);
}

#[test]
fn a_page_of_large_rows_ends_before_its_limit() {
    let mut desk = Desk::new("large_rows");
    desk.bench.run(
        "TRUNCATE app.tickets;
         INSERT INTO app.tickets (id, tenant_id, subject, note)
         SELECT n, 'acme', 'x', repeat('x', 1000000) FROM generate_series(1, 30) AS n",
    );
    let key = desk.key.clone();
    let page = desk.get_as(&key, "/api/v1/tickets?limit=100");
    assert!(page.body.len() < 7_000_000 && page.ids().len() >= 4, "{}", page.body.len());
    assert_eq!(ids(&desk.walk(&key, "/api/v1/tickets?limit=100")), (1..=30).collect::<Vec<i64>>());
}

#[test]
fn a_page_is_found_in_an_index_however_far_down_the_list_it_is() {
    let mut desk = Desk::with("pages_indexed", TICKETS, "");
    desk.bench.run(
        "ALTER TABLE app.tickets ALTER id RESTART WITH 10;
         INSERT INTO app.tickets (tenant_id, subject, status, amount, due)
         SELECT CASE WHEN n % 10 = 0 THEN 'globex' ELSE 'acme' END, 'x', CASE n % 4 WHEN 0 THEN 'open' ELSE 'it''s done' END,
                CASE WHEN n % 3 > 0 THEN n % 50 END, '2026-01-01'::date + n % 9
         FROM generate_series(1, 20000) AS n;
         SELECT hydra.api_expose('app.tickets')",
    );
    desk.bench.run("VACUUM ANALYZE app.tickets");
    let key = desk.key.clone();
    for query in ["sort=id", "sort=-id", "sort=amount", "sort=-amount", "sort=due", "sort=-due", "status=open&sort=id"]
    {
        let path = format!("/api/v1/tickets?limit=100&{query}");
        let first = desk.get_as(&key, &path).json();
        let mut cursor = first["next_cursor"].clone();
        let mut pages = 1;
        while let Some(next) = cursor.as_str() {
            let before = rows_read(&mut desk);
            cursor = desk.get_as(&key, &format!("{path}&cursor={next}")).json()["next_cursor"].clone();
            let read = rows_read(&mut desk) - before;
            // Those of the page and, near the end, perhaps all that are left. OFFSET would read all those before.
            assert!(read <= 2000, "page {pages} of {query} has read {read} rows");
            pages += 1;
        }
        assert!(pages > 40, "{query}: {pages}");
    }
}

/// How many rows of the tickets the session of the gateway has read so far, by any way.
fn rows_read(desk: &mut Desk) -> i64 {
    testkit::run(&mut desk.gateway, "SELECT pg_stat_force_next_flush()");
    desk.bench.run("SELECT pg_stat_clear_snapshot()");
    desk.bench.ask(
        "SELECT coalesce(seq_tup_read, 0)::bigint
                + (SELECT sum(idx_tup_read)::bigint FROM pg_stat_user_indexes WHERE relid = 'app.tickets'::regclass)
         FROM pg_stat_user_tables WHERE relid = 'app.tickets'::regclass",
    )
}

#[test]
fn a_row_that_is_too_large_ends_the_page_before_it_and_the_list_goes_on_after_it() {
    let mut desk = Desk::new("list_too_large");
    desk.bench.run("UPDATE app.tickets SET note = repeat('x', 17 << 20) WHERE id = 2");
    let first = desk.get("/api/v1/tickets");
    assert_eq!((first.ids(), first.json()["has_more"].as_bool()), (vec![1], Some(true)));
    let next = |answer: &Answer| {
        let link = answer.header("link").unwrap_or_else(|| panic!("{}", answer.status)).to_owned();
        link[1..].split('>').next().expect("a URL").to_owned()
    };
    let refused = desk.get(&next(&first));
    assert_eq!(refused.problem(), (422, "id".into(), "too_large".into()));
    let said = refused.json();
    assert_eq!(said["code"], "54000");
    assert!(said["detail"].as_str().unwrap().contains("id 2"), "{said}");
    // Whoever follows the links gets all other rows.
    let last = desk.get(&next(&refused));
    assert_eq!((last.ids(), last.json()["has_more"].as_bool()), (vec![4], Some(false)));
    let one = desk.get("/api/v1/tickets/2");
    assert_eq!((one.status, &one.json()["code"]), (422, &serde_json::json!("54000")), "{}", one.status);
    assert_eq!(desk.get("/api/v1/tickets?sort=-id&limit=1").ids(), [4]);
}
