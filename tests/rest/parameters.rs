//! What a list can be asked, and what it answers to everything else.

use crate::Desk;

#[test]
fn a_list_is_filtered_by_each_operator() {
    let mut desk = Desk::new("filters");
    desk.bench.run(
        "INSERT INTO app.tickets (id, tenant_id, subject, status, amount) VALUES (5, 'acme', 'x', 'it''s done', -3)",
    );
    for (query, ids) in [
        ("", &[1, 2, 4, 5][..]),
        ("status=open", &[1, 2, 4]),
        ("status[eq]=open", &[1, 2, 4]),
        ("status%5Beq%5D=it%27s+done", &[5]),
        ("status[ne]=open", &[5]),
        ("amount[gt]=7", &[1]),
        ("amount[gte]=7", &[1, 4]),
        ("amount[lt]=7.0", &[5]),
        ("amount[lte]=7", &[4, 5]),
        ("amount=10.5", &[1]),
        // Null is another value.
        ("amount[ne]=7", &[1, 2, 5]),
        ("amount[null]=true", &[2]),
        ("amount[null]=false", &[1, 4, 5]),
        ("amount[in]=7,10.50,11", &[1, 4]),
        ("id[in]=1,2,3", &[1, 2]),
        ("amount[gte]=0&amount[lt]=8&status=open", &[4]),
        ("due[gte]=2026-01-01&due[lt]=2026-02-01", &[1]),
        ("amount[gt]=-infinity", &[1, 4, 5]),
        ("status=nothing", &[]),
        ("tenant_id=acme", &[1, 2, 4, 5]),
        ("tenant_id=globex", &[]),
    ] {
        assert_eq!(desk.get(&format!("/api/v1/tickets?{query}")).ids(), ids, "{query}");
    }
}

#[test]
fn an_unknown_a_repeated_and_a_wrong_parameter_are_refused_by_name() {
    let mut desk = Desk::new("wrong_parameters");
    let many = format!("id[in]={}", ["1"; 101].join(","));
    for (query, status, field, code) in [
        ("colour=red", 400, "colour", "unknown_parameter"),
        // It has no index. It does not exist. The answer is the same.
        ("subject=x", 400, "subject", "unknown_parameter"),
        ("nothing=x", 400, "nothing", "unknown_parameter"),
        ("Status=open", 400, "Status", "unknown_parameter"),
        ("status[like]=o", 400, "status[like]", "unknown_parameter"),
        ("status[]=open", 400, "status[]", "unknown_parameter"),
        ("status[eq", 400, "status[eq", "unknown_parameter"),
        ("=x", 400, "", "unknown_parameter"),
        ("offset=10", 400, "offset", "unknown_parameter"),
        ("status=open&status=open", 400, "status", "repeated_parameter"),
        ("status=open&status[eq]=x", 400, "status[eq]", "repeated_parameter"),
        ("limit=1&limit=1", 400, "limit", "repeated_parameter"),
        ("sort=id&sort=id", 400, "sort", "repeated_parameter"),
        ("limit=0", 400, "limit", "invalid_limit"),
        ("limit=101", 400, "limit", "invalid_limit"),
        ("limit=1000000000000000000000", 400, "limit", "invalid_limit"),
        ("limit=-1", 400, "limit", "invalid_limit"),
        ("limit=%2B5", 400, "limit", "invalid_limit"),
        ("limit=", 400, "limit", "invalid_limit"),
        ("limit=ten", 400, "limit", "invalid_limit"),
        ("sort=subject", 400, "sort", "invalid_sort"),
        ("sort=", 400, "sort", "invalid_sort"),
        ("sort=--id", 400, "sort", "invalid_sort"),
        ("sort=id,id", 400, "sort", "invalid_sort"),
        ("sort=due,-due", 400, "sort", "invalid_sort"),
        ("sort=id;SELECT", 400, "sort", "invalid_sort"),
        ("amount=abc", 422, "amount", "22P02"),
        ("amount[in]=1,,2", 422, "amount[in]", "22P02"),
        ("id=9223372036854775808", 422, "id", "22003"),
        ("due=2026-02-30", 422, "due", "22008"),
        ("amount[null]=maybe", 422, "amount[null]", "invalid_value"),
        (many.as_str(), 422, "id[in]", "too_many_values"),
    ] {
        let answer = desk.get(&format!("/api/v1/tickets?{query}"));
        assert_eq!(answer.problem(), (status, field.into(), code.into()), "{query}: {answer:?}");
    }
    for query in ["a=%zz", "a=%ff", "status=%00", &"a&".repeat(2001)] {
        assert_eq!(desk.get(&format!("/api/v1/tickets?{query}")).status, 400, "{query}");
    }
    let answer = desk.get("/api/v1/tickets/1?fields=id");
    assert_eq!(answer.problem(), (400, "fields".into(), "unknown_parameter".into()), "{answer:?}");
}

#[test]
fn all_wrong_values_are_named_at_once_and_their_messages_quote_no_row() {
    let mut desk = Desk::new("wrong_values");
    let body = desk.get("/api/v1/tickets?amount=abc&due=soon&status=open").json();
    let fields: Vec<_> = body["errors"].as_array().expect("errors").iter().map(|error| &error["field"]).collect();
    assert_eq!(fields, ["amount", "due"], "{body}");
    assert_eq!(body["errors"][0]["detail"], "invalid input syntax for type numeric: \"abc\"");
    assert!(!body.to_string().contains("Printer"), "{body}");
}

#[test]
fn a_cursor_of_another_list_is_refused_and_one_that_was_made_up_is_too() {
    let mut desk = Desk::new("cursors");
    let cursor = |answer: crate::Answer| answer.json()["next_cursor"].as_str().expect("a cursor").to_owned();
    let own = cursor(desk.get("/api/v1/tickets?status=open&sort=-due&limit=1"));
    assert_eq!(desk.get(&format!("/api/v1/tickets?sort=-due&status=open&limit=2&cursor={own}")).status, 200);
    for query in ["sort=-due", "status=open", "status=open&sort=due", "status=x&sort=-due", "status[ne]=open&sort=-due"]
    {
        let answer = desk.get(&format!("/api/v1/tickets?{query}&cursor={own}"));
        assert_eq!(answer.problem(), (400, "cursor".into(), "invalid_cursor".into()), "{query}");
        assert!(answer.body.contains("another list"), "{answer:?}");
    }
    for made_up in ["", "x", "bnVsbA", "W10", "WyJhIixbXV0", &"A".repeat(5000)] {
        let answer = desk.get(&format!("/api/v1/tickets?cursor={made_up}"));
        assert_eq!(answer.problem(), (400, "cursor".into(), "invalid_cursor".into()), "{made_up}");
    }
}

#[test]
fn a_cursor_with_other_values_only_begins_elsewhere() {
    let mut desk = Desk::new("cursors_changed");
    let original = desk.get("/api/v1/tickets?sort=amount&limit=1").json();
    let digest = decoded(original["next_cursor"].as_str().expect("a cursor"))[0].clone();
    let cursor = |values: serde_json::Value| encoded(&serde_json::json!([digest, values]));
    for (values, status) in [
        (serde_json::json!(["8", "1"]), 200),
        (serde_json::json!([null, "0"]), 200),
        (serde_json::json!(["8'; DROP TABLE app.tickets; --", "1"]), 400),
        (serde_json::json!(["8", "one"]), 400),
        (serde_json::json!(["8", null]), 400),
        (serde_json::json!(["8"]), 400),
        (serde_json::json!(["8", "1", "1"]), 400),
        (serde_json::json!([8, 1]), 400),
        (serde_json::json!(["8", "1\u{0}"]), 400),
        (serde_json::json!({"a": 1}), 400),
    ] {
        let answer = desk.get(&format!("/api/v1/tickets?sort=amount&cursor={}", cursor(values.clone())));
        assert_eq!(answer.status, status, "{values}: {answer:?}");
        assert!(!answer.body.contains("Not for acme"));
    }
}

const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// The JSON in a cursor.
fn decoded(cursor: &str) -> serde_json::Value {
    let (mut bits, mut length, mut bytes) = (0u32, 0, Vec::new());
    for digit in cursor.bytes() {
        bits = bits << 6 | DIGITS.iter().position(|other| *other == digit).expect("a digit") as u32;
        length += 6;
        if length >= 8 {
            length -= 8;
            bytes.push((bits >> length) as u8);
        }
    }
    serde_json::from_slice(&bytes).expect("JSON")
}

/// The cursor with this JSON.
fn encoded(json: &serde_json::Value) -> String {
    let (mut bits, mut length, mut digits) = (0u32, 0, String::new());
    for byte in json.to_string().bytes() {
        bits = bits << 8 | u32::from(byte);
        length += 8;
        while length >= 6 {
            length -= 6;
            digits.push(char::from(DIGITS[(bits >> length & 63) as usize]));
        }
    }
    if length > 0 {
        digits.push(char::from(DIGITS[(bits << (6 - length) & 63) as usize]));
    }
    digits
}
