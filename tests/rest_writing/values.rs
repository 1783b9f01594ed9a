//! Values on their way into columns and back.

use serde_json::json;

use crate::Shop;

#[test]
fn numbers_of_any_size_arrive_as_they_are() {
    let mut shop = Shop::new("numbers");
    for (field, number) in [
        ("counted", "9007199254740992"),
        ("counted", "9007199254740993"),
        ("counted", "9223372036854775807"),
        ("counted", "-9223372036854775808"),
        ("amount", "123456789012345678901234567890.123456789012345678901234567890"),
        ("amount", "0.10"),
        ("amount", "18446744073709551617"),
    ] {
        let created = shop.ticket(&format!(r#"{{"subject": "x", "{field}": {number}}}"#));
        let shown = created.body.replace(": ", ":");
        assert!(shown.contains(&format!("\"{field}\":{number},")), "{number}: {}", created.body);
        let id = &created.json()["id"];
        let stored: String = shop.bench.ask(&format!("SELECT {field}::text FROM public.ticket WHERE id = {id}"));
        assert_eq!(stored, number);
    }
    // To JSON Schema it is an integer.
    assert_eq!(shop.ticket(r#"{"subject": "x", "counted": 12.00, "amount": 12.00}"#).json()["counted"], 12);
    let amount: String = shop.bench.ask("SELECT amount::text FROM public.ticket ORDER BY id DESC LIMIT 1");
    assert_eq!(amount, "12.00");
    for (field, number) in
        [("counted", "9223372036854775808"), ("counted", "12.5"), ("number", "2147483648"), ("counted", "1e400")]
    {
        let refused = shop.post("/api/v1/tickets", &format!(r#"{{"subject": "x", "{field}": {number}}}"#));
        let errors = refused.errors();
        assert_eq!((refused.status, errors[0].0.as_str()), (422, field), "{number}: {refused:?}");
    }
}

/// Type confusion.
#[test]
fn a_value_of_another_json_type_is_refused() {
    let mut shop = Shop::new("confused");
    for (field, values) in [
        ("subject", &["7", "true", "{}", "[]", "{\"$ne\": null}", "[\"a\"]"][..]),
        ("counted", &["\"7\"", "true", "{}", "[7]", "\"NULL\"", "\"nan\""]),
        ("urgent", &["\"true\"", "1", "0", "\"on\"", "[]"]),
        ("due_at", &["7", "{}", "false"]),
        ("tags", &["\"{a,b}\"", "{}", "7"]),
        ("tags[0]", &["[1]", "[{\"a\": 1}]", "[\"a\", null, [\"b\"]]"]),
        ("tags[1][0]", &["[[null], [true]]"]),
    ] {
        for value in values {
            let name = field.split('[').next().unwrap();
            let refused = shop.post("/api/v1/tickets", &format!(r#"{{"subject": "x", "{name}": {value}}}"#));
            let refused = if field == "subject" {
                shop.post("/api/v1/tickets", &format!(r#"{{"subject": {value}}}"#))
            } else {
                refused
            };
            assert_eq!(
                (refused.status, refused.errors()),
                (422, vec![(field.into(), "type".into())]),
                "{field} {value}"
            );
        }
    }
    assert_eq!(shop.tickets(), 0);
}

#[test]
fn values_of_all_kinds_are_stored_and_shown() {
    let mut shop = Shop::new("kinds");
    let body = shop.ticket(
        r#"{"subject": "Grüße \ud83d\ude00 'quoted' \"x\" \\ $1 %s", "urgent": false, "tags": ["a,b", null, "\"}"],
            "details": {"b": [1, {"c": null}], "a": "x"}, "due_at": "2026-11-26T12:00:00+01:00", "code": "12345"}"#,
    );
    let body = body.json();
    assert_eq!(body["subject"], "Grüße 😀 'quoted' \"x\" \\ $1 %s");
    assert_eq!(body["tags"], json!(["a,b", null, "\"}"]));
    assert_eq!(body["details"], json!({"b": [1, {"c": null}], "a": "x"}));
    assert_eq!(body["code"], "12345");
    let due: bool = shop.bench.ask("SELECT due_at = '2026-11-26 11:00:00Z' FROM public.ticket");
    assert!(due, "{body}");
    for details in ["[1]", "\"text\"", "7", "true"] {
        let body = shop.ticket(&format!(r#"{{"subject": "x", "details": {details}, "tags": [["a"], ["b"]]}}"#)).json();
        assert_eq!((body["details"].to_string(), &body["tags"]), (details.to_owned(), &json!([["a"], ["b"]])));
    }
}

#[test]
fn a_text_with_nul_is_refused_and_its_field_named() {
    let mut shop = Shop::new("nul");
    for body in [r#"{"subject": "a\u0000b"}"#, r#"{"subject": "\ud800"}"#] {
        let refused = shop.post("/api/v1/tickets", body);
        let errors = refused.errors();
        assert_eq!((refused.status, errors.len(), errors[0].0.as_str()), (422, 1, "subject"), "{refused:?}");
    }
    for (field, value) in [("details", r#"{"a": "\u0000"}"#), ("tags", r#"["\u0000"]"#)] {
        let refused = shop.post("/api/v1/tickets", &format!(r#"{{"subject": "x", "{field}": {value}}}"#));
        let errors = refused.errors();
        assert_eq!((refused.status, errors.len(), errors[0].0.as_str()), (422, 1, field), "{refused:?}");
    }
}

#[test]
fn a_value_that_is_too_long_is_refused_and_not_cut() {
    let mut shop = Shop::new("long");
    let refused = shop.post("/api/v1/tickets", r#"{"subject": "x", "code": "123456"}"#);
    assert_eq!((refused.status, refused.errors()), (422, vec![("code".into(), "22001".into())]));
    // An index has no room for it.
    let random: String =
        (0..20_000).map(|n: u32| char::from(b'a' + (n.wrapping_mul(2_654_435_761) >> 24) as u8 % 26)).collect();
    let refused = shop.post("/api/v1/tickets", &format!(r#"{{"subject": "x", "slug": "{random}"}}"#));
    assert!(matches!(refused.status, 201 | 422), "{}", refused.status);
}

#[test]
fn a_message_of_postgres_is_about_the_value_that_was_sent() {
    let mut shop = Shop::new("messages");
    let refused = shop.post("/api/v1/tickets", r#"{"subject": "x", "due_at": "yesterdayish"}"#).json();
    assert_eq!(
        refused["errors"][0]["detail"],
        "invalid input syntax for type timestamp with time zone: \"yesterdayish\""
    );
    assert_eq!(refused["code"], "22007");
    let huge = "y".repeat(100_000);
    let refused = shop.post("/api/v1/tickets", &format!(r#"{{"subject": "x", "due_at": "{huge}"}}"#));
    assert!(refused.status == 422 && refused.body.len() < 2000, "{}", refused.body.len());
}

#[test]
fn values_of_domains_enums_and_composite_types_are_checked() {
    let mut shop = Shop::new("made_types");
    shop.bench.run(
        "CREATE TYPE public.mood AS ENUM ('good', 'bad');
         CREATE DOMAIN public.percent AS integer CHECK (VALUE BETWEEN 0 AND 100);
         CREATE TYPE public.size AS (width integer, height integer);
         CREATE TABLE public.thing (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id text NOT NULL,
                                    mood public.mood, share public.percent, size public.size, span int4range, raw bytea);
         GRANT ALL ON public.thing TO shop",
    );
    let columns = "mood,share,size,span,raw";
    shop.expose("things", "public.thing", &format!("id,tenant_id,{columns}"), columns, columns);
    let sent = r#"{"mood": "good", "share": 7, "size": {"width": 1, "height": 2}, "span": "[1,3)", "raw": "\\x00ff"}"#;
    let created = shop.post("/api/v1/things", sent);
    assert_eq!(created.status, 201, "{created:?}");
    let body = created.json();
    for (field, value) in serde_json::from_str::<serde_json::Map<_, _>>(sent).unwrap() {
        assert_eq!(body[&field], value);
    }
    for (field, value, code) in [
        ("mood", "\"sad\"", "22P02"),
        ("share", "101", "23514"),
        ("size", "{\"width\": 3000000000}", "22003"),
        ("size", "[1, 2]", "type"),
        ("span", "\"[3,1)\"", "22000"),
        ("raw", "\"\\\\xzz\"", "22023"),
    ] {
        let refused = shop.post("/api/v1/things", &format!(r#"{{"{field}": {value}}}"#));
        assert_eq!((refused.status, refused.errors()), (422, vec![(field.into(), code.into())]), "{refused:?}");
    }
}

#[test]
fn a_member_that_a_composite_type_does_not_have_is_refused_and_erases_nothing() {
    let mut shop = Shop::new("members");
    shop.bench.run(
        "CREATE TYPE public.addr AS (street text, zip int, \"Odd name\" text);
         CREATE DOMAIN public.home AS public.addr CHECK ((VALUE).zip IS DISTINCT FROM 0);
         CREATE TYPE public.person AS (name text, lives public.home, others public.addr[], note jsonb);
         CREATE DOMAIN public.homes AS public.home[];
         ALTER TYPE public.addr ADD ATTRIBUTE gone text; ALTER TYPE public.addr DROP ATTRIBUTE gone;
         CREATE TABLE public.thing (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id text NOT NULL,
                                    a public.addr, h public.home, l public.addr[], hs public.homes, p public.person);
         GRANT ALL ON public.thing TO shop",
    );
    let columns = "a,h,l,hs,p";
    shop.expose("things", "public.thing", &format!("id,tenant_id,{columns}"), columns, columns);
    let sent = r#"{"a": {"street": "x", "zip": 1, "Odd name": null}, "h": {"zip": 5}, "l": [[{"zip": 1}], [null]], "hs": [{}, null],
                   "p": {"name": "Ann", "lives": {"street": "y"}, "others": [{"zip": 2}], "note": {"any": 1}}}"#;
    let created = shop.post("/api/v1/things", sent);
    assert_eq!(created.status, 201, "{created:?}");
    for (body, path) in [
        (r#"{"a": {"stret": "typo"}}"#, "a.stret"),
        (r#"{"a": {"Street": "typo"}}"#, "a.Street"),
        (r#"{"a": {"street": "x", "gone": 1}}"#, "a.gone"),
        (r#"{"h": {"zap": 1}}"#, "h.zap"),
        (r#"{"l": [{"zip": 1}, {"zap": 1}]}"#, "l[1].zap"),
        (r#"{"l": [[{"zip": 1}], [{"zap": 1}]]}"#, "l[1][0].zap"),
        (r#"{"hs": [{"zap": 1}]}"#, "hs[0].zap"),
        (r#"{"p": {"lives": {"zap": 1}}}"#, "p.lives.zap"),
        (r#"{"p": {"others": [{}, {"": 1}]}}"#, "p.others[1]."),
        (r#"{"p": {"nam": null}}"#, "p.nam"),
    ] {
        for refused in [shop.patch("/api/v1/things/1", body), shop.post("/api/v1/things", body)] {
            assert_eq!((refused.status, refused.errors()), (422, vec![(path.into(), "unknown".into())]), "{body}");
        }
    }
    for (body, path, code) in [
        (r#"{"a": {"street": {"x": 1}}}"#, "a.street", "type"),
        (r#"{"a": {"street": 12}}"#, "a.street", "type"),
        (r#"{"l": [{"zip": 1}, {"zip": "7"}]}"#, "l[1].zip", "type"),
        (r#"{"l": [{"zip": 1}, [{"zip": 1}]]}"#, "l[0]", "type"),
        (r#"{"hs": [[1]]}"#, "hs[0][0]", "type"),
        (r#"{"p": {"others": {"zip": 1}}}"#, "p.others", "type"),
        (r#"{"a": {"street": "x", "street": "y"}}"#, "a.street", "repeated"),
    ] {
        let refused = shop.patch("/api/v1/things/1", body);
        assert_eq!((refused.status, refused.errors()), (422, vec![(path.into(), code.into())]), "{body}");
    }
    let kept: String = shop.bench.ask("SELECT concat_ws(' ', a, h, p) FROM public.thing");
    assert_eq!(kept, "(x,1,) (,5,) (Ann,\"(y,,)\",\"{\"\"(,2,)\"\"}\",\"{\"\"any\"\": 1}\")");
    // No array has that many dimensions, and no parser may run out of stack.
    for depth in [6, 50, 100_000] {
        let body = format!(r#"{{"p": {{"others": {}{}}}}}"#, "[".repeat(1 + depth), "]".repeat(1 + depth));
        let refused = shop.patch("/api/v1/things/1", &body);
        assert_eq!((refused.status, &refused.errors()[0].0), (422, &"p".to_owned()), "{refused:?}");
    }
    // The value that is given replaces the whole one.
    let changed = shop.patch("/api/v1/things/1", r#"{"a": {"zip": 2}}"#).json();
    assert_eq!(changed["a"], json!({"street": null, "zip": 2, "Odd name": null}));
}

#[test]
fn a_value_that_a_type_refuses_in_its_own_way_is_refused_and_its_field_named() {
    let mut shop = Shop::new("own_ways");
    shop.bench.run(
        "CREATE FUNCTION public.judge(integer) RETURNS boolean LANGUAGE plpgsql AS $$
         BEGIN
             IF $1 = 1 THEN RAISE 'Not this one.'; END IF;
             IF $1 = 2 THEN PERFORM * FROM public.nowhere; END IF;
             RETURN true;
         END $$;
         CREATE DOMAIN public.judged AS integer CHECK (public.judge(VALUE));
         CREATE TABLE public.thing (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id text NOT NULL,
                                    rc regclass, rp regproc, ro regprocedure, rop regoper, rt regtype, rr regrole, rn regnamespace,
                                    rf regconfig, ts tsquery, sn pg_snapshot, jp jsonpath, j public.judged, rcs regclass[]);
         GRANT ALL ON public.thing TO shop",
    );
    let columns = "rc,rp,ro,rop,rt,rr,rn,rf,ts,sn,jp,j,rcs";
    shop.expose("things", "public.thing", &format!("id,tenant_id,{columns}"), columns, columns);
    assert_eq!(shop.post("/api/v1/things", r#"{"rc": "pg_catalog.pg_class", "rr": "shop"}"#).status, 201);
    for (field, value) in [
        ("rc", "\"nope\""),
        ("rc", "\"a.b.c.d\""),
        ("rc", "\"other.db.nope\""),
        ("rc", "\"\""),
        ("rp", "\"nope\""),
        ("rp", "\"abs\""),
        ("ro", "\"nope(int)\""),
        ("rop", "\"+\""),
        ("rt", "\"nope\""),
        ("rt", "\"a b c\""),
        ("rr", "\"nope\""),
        ("rn", "\"nope\""),
        ("rf", "\"nope\""),
        ("ts", "\"a &\""),
        ("sn", "\"x\""),
        ("jp", "\"$[\""),
        ("j", "1"),
        ("j", "2"),
        ("rcs", "[\"nope\"]"),
    ] {
        let body = format!(r#"{{"{field}": {value}}}"#);
        for refused in [shop.post("/api/v1/things", &body), shop.patch("/api/v1/things/1", &body)] {
            let errors = refused.errors();
            let named: Vec<&str> = errors.iter().map(|(field, _)| field.as_str()).collect();
            assert_eq!((refused.status, named), (422, vec![field]), "{body}: {refused:?}");
        }
    }
    // What the application says is passed on.
    assert!(shop.post("/api/v1/things", r#"{"j": 1}"#).body.contains("Not this one."));
    assert!(!shop.post("/api/v1/things", r#"{"j": 2}"#).body.contains("nowhere"));
}
