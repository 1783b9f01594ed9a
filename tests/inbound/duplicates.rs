//! Events that come several times.

use std::thread;

use serde_json::json;

use crate::{Door, github, issue, pairs, post_until_answered, states};

#[test]
fn eight_requests_with_one_id_at_a_time_have_one_effect_and_all_are_answered() {
    let mut door = Door::with_flow("eight");
    door.bench.subscribe("/out", "ticket.created", &[]);
    let adapter = door
        .adapter(r#"'{"issues.opened": {"event": "ticket.created", "entity": "$.issue"}}', 'github', 'It is secret'"#);
    let body = issue(7).to_string();
    let headers = github("It is secret", "one-id", &body);
    // The gateway lets only some requests at a time through to a URL that it does not know.
    assert_eq!(door.post(&adapter, &pairs(&headers), &body).status, 200);
    for round in 1..=3 {
        let headers = github("It is secret", &format!("id-{round}"), &body);
        thread::scope(|scope| {
            let gateway = &door.gateway;
            let send = || post_until_answered(gateway, &adapter, &pairs(&headers), &body);
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(send)).collect();
            for thread in threads {
                let answer = thread.join().expect("it does not panic");
                assert_eq!(answer.status, 200, "{answer:?}");
            }
        });
        assert_eq!(door.effects().len(), 1 + round);
    }
    assert_eq!(door.column(&adapter, "concat_ws(' ', received, matched, duplicates)"), "4 4 21");
    assert_eq!(door.events(&adapter, "duplicates"), "0,7,7,7");
    assert_eq!(door.bench.wait_for("/out", 4).len(), 4);
    door.bench.wait_for_empty_queue();
    assert_eq!(door.bench.receiver.received("/out"), 4);
}

#[test]
fn ids_that_are_numbers_keep_all_of_their_digits() {
    let mut door = Door::with_flow("digits");
    let adapter =
        door.adapter(r#"'{"*": {"event": "ticket.created"}}', scheme => '{"id": [{"path": "$.id"}]}', each => NULL"#);
    let json = [("content-type", "application/json")];
    let ids = [
        "12345678901234567890123",
        "12345678901234567890124",
        "18446744073709551616",
        "18446744073709551617",
        "1.10",
        "1.1",
        "1e+309",
    ];
    for id in ids {
        let answer = door.post(&adapter, &json, &format!(r#"{{"id": {id}}}"#));
        assert_eq!((answer.status, states(&answer)), (200, vec!["done".to_owned()]), "{answer:?}");
    }
    assert_eq!(door.events(&adapter, "external_id"), ids.join(","));
    let answer = door.post(&adapter, &json, r#"{"id": 12345678901234567890123}"#);
    assert_eq!(answer.json()["events"][0]["duplicate"], true, "{answer:?}");
    let taken: Vec<String> = door.effects().iter().map(|entity| entity["id"].to_string()).collect();
    assert_eq!(taken[..6], ids[..6]);
    assert_eq!(taken[6].len(), 310);
}

#[test]
fn batches_with_the_same_events_in_another_order_do_not_wait_for_each_other_in_a_circle() {
    let mut door = Door::with_flow("circles");
    let adapter = door.adapter("'\"ticket.created\"', each => '$[*]', id_path => '$.id', requests_per_second => 1000");
    for round in 0..5 {
        let mut items: Vec<_> = (0..20).map(|number| json!({"id": format!("{round}-{number}")})).collect();
        let forward = json!(items);
        items.reverse();
        let backward = json!(items);
        thread::scope(|scope| {
            for body in [&forward, &backward, &forward, &backward] {
                let (gateway, adapter) = (&door.gateway, &adapter);
                scope.spawn(move || {
                    let answer = post_until_answered(gateway, adapter, &[], &body.to_string());
                    assert_eq!(answer.status, 200, "{answer:?}");
                    assert!(states(&answer).iter().all(|state| state == "done"), "{answer:?}");
                });
            }
        });
    }
    assert_eq!(door.effects().len(), 100);
    // The request that ends a circle is answered with 503 too.
    let failures = door.gateway.events("call_failed");
    assert!(failures.iter().all(|failure| failure["reason"] != "40P01"), "{failures:?}");
}

#[test]
fn a_sender_without_ids_can_give_one_and_without_it_each_request_is_an_event() {
    let mut door = Door::with_flow("given_ids");
    let adapter = door.adapter("'\"ticket.created\"'");
    for headers in [&[][..], &[], &[("idempotency-key", "k")], &[("idempotency-key", "k")], &[("webhook-id", "w")]] {
        assert_eq!(door.post(&adapter, headers, r#"{"id": 1}"#).status, 200);
    }
    assert_eq!(door.effects().len(), 4);
    let long = "x".repeat(2000);
    assert_eq!(door.post(&adapter, &[("idempotency-key", &long)], r#"{"id": 1}"#).status, 401);
}
