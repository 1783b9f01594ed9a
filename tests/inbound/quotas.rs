//! Requests that are too many or have no adapter.

use testkit::{PATIENCE, wait_until};

use crate::Door;

#[test]
fn unknown_urls_are_answered_like_any_path_that_there_is_not() {
    let mut door = Door::open("unknown_urls");
    let adapter = door.adapter("'\"ticket.created\"'");
    let deleted = door.adapter("'\"ticket.created\"'");
    door.bench.run(&format!("SELECT hydra.inbound_delete({})", deleted.id));
    let malformed = format!("{}x", adapter.path);
    let mut shapes = Vec::new();
    for path in ["/nothing", "/in/", "/in/hyi_wrong", &malformed, &deleted.path, &deleted.path] {
        for body in ["{}", ""] {
            let answer = door.gateway.connect().request("POST", path, &[], body.as_bytes());
            let mut json = answer.json();
            json["request_id"].take();
            let mut names: Vec<_> = answer.headers.iter().map(|(name, _)| name.clone()).collect();
            names.sort();
            shapes.push((answer.status, json.to_string(), names));
        }
    }
    assert_eq!(shapes[0].0, 404);
    assert!(shapes.iter().all(|shape| *shape == shapes[0]), "{shapes:#?}");
    assert_eq!(door.post(&adapter, &[], "{}").status, 200);
    for method in ["GET", "PUT", "DELETE"] {
        let answer = door.gateway.connect().request(method, &adapter.path, &[], b"");
        assert_eq!((answer.status, answer.header("allow")), (405, Some("POST")), "{method}");
    }
    assert_eq!(door.bench.ask::<i64>("SELECT count(*) FROM hydra.inbound_refusals"), 0, "a browser is no other system");
    let shown = format!("/in/{}…", &adapter.path[4..14]);
    door.gateway
        .wait_for("the log has the requests", |gateway| gateway.lines().join("\n").matches(&shown).count() >= 3);
    let log = door.gateway.lines().join("\n");
    assert!(!log.contains(&adapter.path[4..20]), "{log}");
}

#[test]
fn an_adapter_that_gets_too_many_requests_answers_429_and_when_to_come_again() {
    let mut door = Door::open("quotas");
    let adapter = door.adapter("'\"ticket.created\"', requests_per_second => 1");
    let other = door.adapter("'\"ticket.created\"'");
    let mut over = None;
    wait_until("there are too many requests", PATIENCE, || {
        let answer = door.post(&adapter, &[], "{}");
        assert!(matches!(answer.status, 200 | 429), "{answer:?}");
        over = Some(answer).filter(|answer| answer.status == 429);
        over.is_some()
    });
    let over = over.unwrap();
    assert_eq!(over.header("retry-after"), Some("1"), "{over:?}");
    assert_eq!(door.post(&other, &[], "{}").status, 200, "each adapter has a quota of its own");
    wait_until("requests are accepted again", PATIENCE, || door.post(&adapter, &[], "{}").status == 200);
}

#[test]
fn a_body_that_is_too_large_is_refused_before_the_database_hears_of_it() {
    let mut door = Door::open("large_bodies");
    let adapter = door.adapter("'\"ticket.created\"'");
    let mut connection = door.gateway.connect();
    let head = format!("POST {} HTTP/1.1\r\nHost: hooks\r\nContent-Length: {}\r\n\r\n", adapter.path, 2 << 20);
    // It answers before it has read all of it, and does not read the rest for long.
    let _ = connection.send(head + &"x".repeat(2 << 20));
    let answer = connection.answer().expect("an answer");
    assert_eq!(answer.status, 413, "{answer:?}");
    assert_eq!(door.column(&adapter, "concat_ws(' ', received, refused)"), "0 0");
}
