//! Requests that no system should send: each is answered, and none leaves more than a line that says why.

use testkit::{Bench, Gateway};

use crate::http::{exchange, post};
use crate::outside::stripe_signature;
use crate::{cluster, create_adapter, deploy};

const JSON: (&str, &str) = ("content-type", "application/json");

/// Adapters of a database, which has no subscription.
struct Site<'a> {
    bench: Bench<'a>,
    gateway: Gateway,
    adapter: i64,
    path: String,
}

impl Site<'_> {
    fn open(database: &str, adapter: &str) -> Self {
        let mut bench = Bench::new(cluster(), database);
        let gateway = Gateway::start(&bench);
        let (adapter, path) = create_adapter(&mut bench, adapter);
        Self { bench, gateway, adapter, path }
    }

    /// Returns the status and the state of the event, or of all events.
    #[track_caller]
    fn post(&self, headers: &[(&str, &str)], body: &[u8]) -> String {
        let answer =
            post(&self.gateway.url(), &self.path, headers, body).unwrap_or_else(|error| panic!("{headers:?}: {error}"));
        let events = match answer.status {
            200 | 202 => answer.json()["events"].as_array().expect("events").clone(),
            status => return status.to_string(),
        };
        let states: Vec<_> = events.iter().filter_map(|event| event["state"].as_str()).collect();
        format!("{} {}", answer.status, states.join(" "))
    }

    /// Returns columns of the newest event.
    #[track_caller]
    fn event(&mut self, columns: &str) -> String {
        self.bench.ask(&format!("SELECT concat_ws('|', {columns}) FROM hydra.inbound_events ORDER BY id DESC LIMIT 1"))
    }

    #[track_caller]
    fn refusal(&mut self) -> String {
        self.bench.ask("SELECT concat_ws('|', stage, reason) FROM hydra.inbound_refusals ORDER BY id DESC LIMIT 1")
    }

    /// All that was stored can be read, so that it can be dumped.
    #[track_caller]
    fn assert_sound(&mut self) {
        self.bench.run(
            "COPY hydra.inbound_event TO PROGRAM 'cat > /dev/null';
             COPY hydra.inbound_refused TO PROGRAM 'cat > /dev/null'",
        );
        assert!(!cluster().log().contains("PANIC"));
    }
}

/// An object in an object, and so on.
fn nested(depth: usize) -> Vec<u8> {
    [r#"{"a":"#.repeat(depth), "1".into(), "}".repeat(depth)].concat().into_bytes()
}

#[test]
fn bodies_that_are_no_json_are_refused_or_kept_as_text() {
    let mut site = Site::open("odd_bodies", r#"'odd', '"ticket.created"'"#);
    for (what, body) in [
        ("not UTF-8", b"{\"a\": \"\xff\xfe\"}".to_vec()),
        ("cut off", b"{\"a\": ".to_vec()),
        ("empty", Vec::new()),
        ("NaN", br#"{"a": NaN}"#.to_vec()),
        ("deep", nested(10_000)),
        ("deep and open", vec![b'['; 200_000]),
        ("compressed", b"\x1f\x8b\x08\x00\x00\x00\x00\x00".to_vec()),
    ] {
        assert_eq!(site.post(&[JSON], &body), "422", "{what}");
        let refusal = site.refusal();
        assert!(refusal.starts_with("body|the body is not JSON"), "{what}: {refusal}");
    }
    assert_eq!(site.post(&[("content-type", "text/plain")], b"\xff\xfe"), "422");
    assert_eq!(site.bench.count("inbound_events"), 0);
    // Anything that is text is taken.
    for body in [&b""[..], b"hello", b"\0", b"{\"a\": ", b"a=%ff"] {
        assert_eq!(site.post(&[("content-type", "text/plain")], body), "200 unmatched", "{body:?}");
    }
    for body in [br#"{"a": "\ud800"}"#.to_vec(), br#"{"a": 1e999999}"#.to_vec(), nested(900)] {
        assert_eq!(site.post(&[JSON], &body), "200 unmatched");
    }
    for body in [&b"null"[..], b"7", b"[]", b"[1, 2]", br#"{"id": {"id": 1}}"#, br#"{"id": 1, "id": 2}"#] {
        assert_eq!(site.post(&[JSON], body), "200 unmatched", "{body:?}");
    }
    assert_eq!(site.event("entity_id"), "2", "the last of two equal keys counts, as for jsonb");
    site.assert_sound();
}

#[test]
fn texts_that_postgres_cannot_have_do_not_get_into_it() {
    let mapping = r#"'nul', '{"*": {"event": "ticket.created", "entity_id": "$.id", "tenant_id": "$.tenant"}}'"#;
    let mut site = Site::open("nul", mapping);
    assert_eq!(site.post(&[JSON], br#"{"type": "a\u0000b"}"#), "422");
    for body in [
        br#"{"id": "a\u0000b"}"#.as_slice(),
        br#"{"tenant": "a\u0000b", "id": "1"}"#,
        br#"{"x": "a\u0000b", "id": "1"}"#,
        br#"{"x\u0000": 1, "id": "1"}"#,
    ] {
        assert_eq!(site.post(&[JSON], body), "200 unmatched", "{}", String::from_utf8_lossy(body));
        let reason = site.event("reason");
        assert!(reason.starts_with("the event cannot be used: unsupported Unicode escape sequence"), "{reason}");
    }
    // Kept as it came.
    assert_eq!(site.event("payload"), r#"{"x\u0000": 1, "id": "1"}"#);
    site.assert_sound();
}

#[test]
fn ids_and_types_of_any_length_are_told_apart() {
    let mut site =
        Site::open("long", r#"'long', '{"known": "ticket.created"}', id_path => '$.key', type_path => '$.kind'"#);
    let body = |key: &str, kind: &str| format!(r#"{{"key": "{key}", "kind": "{kind}", "id": 1}}"#).into_bytes();
    let long = "x".repeat(500_000);
    assert_eq!(site.post(&[JSON], &body(&long, "known")), "200 unmatched");
    assert_eq!(site.event("length(external_id), event_type"), "64|ticket.created");
    assert_eq!(site.post(&[JSON], &body(&(long.clone() + "y"), "known")), "200 unmatched");
    assert_eq!(site.post(&[JSON], &body(&long, "known")), "200 unmatched");
    assert_eq!(site.bench.count("inbound_events"), 2);
    assert_eq!(site.post(&[JSON], &body("1", &long)), "200 unmatched");
    assert_eq!(site.event("length(external_type), length(reason) < 400"), "255|t");
    // An empty id is none, and a number is the same id as its text.
    for (id, count) in
        [(r#""""#, 4), (r#""""#, 5), ("7", 6), (r#""7""#, 6), ("null", 7), (r#"["7"]"#, 8), (r#"["7"]"#, 8)]
    {
        site.post(&[JSON], format!(r#"{{"key": {id}, "kind": "known"}}"#).as_bytes());
        assert_eq!(site.bench.count("inbound_events"), count, "{id}");
    }
    site.assert_sound();
}

#[test]
fn a_batch_is_taken_event_by_event_up_to_a_limit() {
    let mut site = Site::open(
        "batches",
        r#"'batch', '"ticket.created"', each => '$.events[*]', id_path => '$.id', budget => '9 s'"#,
    );
    site.bench.run("CREATE TABLE public.taken (id text PRIMARY KEY); GRANT INSERT ON public.taken TO flow_owner");
    deploy(&mut site.bench, "take", "ticket.created", "INSERT INTO public.taken VALUES (event ->> 'entity_id');");
    let batch = |ids: std::ops::Range<usize>| {
        let events: Vec<String> = ids.map(|id| format!(r#"{{"id": {id}}}"#)).collect();
        format!(r#"{{"events": [{}]}}"#, events.join(",")).into_bytes()
    };
    let answer = site.post(&[JSON], &batch(0..200));
    assert!(answer == format!("200{}", " done".repeat(200)), "{answer}");
    assert_eq!(site.bench.ask::<i64>("SELECT count(*) FROM public.taken"), 200);
    // Half of it again, and an event that comes twice in one request.
    assert!(site.post(&[JSON], &batch(100..300)).starts_with("200 done"));
    assert_eq!(site.post(&[JSON], br#"{"events": [{"id": "twice"}, {"id": "twice"}]}"#), "200 done");
    assert_eq!(site.bench.ask::<i64>("SELECT count(*) FROM public.taken"), 301);
    // Too many, none, and a path that leads nowhere.
    assert_eq!(site.post(&[JSON], &batch(2000..7001)), "422");
    assert!(site.refusal().contains("a request has at most 5000 events"));
    assert_eq!(site.post(&[JSON], br#"{"events": []}"#), "200 ");
    assert_eq!(site.post(&[JSON], br#"{"other": 1}"#), "200 unmatched");
    assert_eq!(site.bench.count("inbound_events"), 302);
}

#[test]
fn requests_that_are_not_signed_as_they_should_be_are_refused_and_say_nothing_to_strangers() {
    let mut site = Site::open("unsigned", r#"'signed', '"ticket.created"', 'stripe', 'the secret'"#);
    let body = r#"{"id": "evt_1", "type": "x"}"#;
    let good = stripe_signature("the secret", body);
    let (time, hash) = good.split_once(",v1=").expect("it has this form");
    let upper = format!("{time},v1={}", hash.to_uppercase());
    let other = stripe_signature("another", body);
    let both = format!("{other},v1={hash}");
    let old = good.replacen("t=1", "t=0", 1);
    let long = format!("{time}{}", ",v1=00".repeat(2000));
    let mut answers = Vec::new();
    for (what, headers) in [
        ("none", vec![]),
        ("empty", vec![("stripe-signature", "")]),
        ("by another secret", vec![("stripe-signature", other.as_str())]),
        ("without a hash", vec![("stripe-signature", time)]),
        ("without a time", vec![("stripe-signature", &good[time.len() + 1..])]),
        ("of another time", vec![("stripe-signature", &old)]),
        ("half of it", vec![("stripe-signature", &good[..good.len() - 32])]),
        ("twice", vec![("stripe-signature", &good), ("stripe-signature", &good)]),
        ("thousands", vec![("stripe-signature", &long)]),
        ("of another provider", vec![("x-hub-signature-256", hash)]),
    ] {
        let answer = post(&site.gateway.url(), &site.path, &headers, body.as_bytes()).expect("an answer");
        assert_eq!(answer.status, 401, "{what}: {answer:?}");
        let mut shape = answer.json();
        shape["request_id"] = "".into();
        answers.push(shape);
        let refusal = site.refusal();
        assert!(!refusal.contains(hash) && !refusal.contains("the secret"), "{what}: {refusal}");
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:#?}");
    // Changed on its way, by one space.
    assert_eq!(site.post(&[("stripe-signature", &good)], format!("{body} ").as_bytes()), "401");
    assert_eq!(site.bench.count("inbound_events"), 0);
    for signature in [&good, &both, &upper] {
        assert_eq!(site.post(&[("stripe-signature", signature)], body.as_bytes()), "200 unmatched", "{signature}");
    }
    assert_eq!(site.bench.count("inbound_events"), 1);
}

#[test]
fn urls_and_methods_that_do_not_fit_are_answered_like_those_that_there_are_not() {
    let mut site = Site::open("urls", r#"'urls', '"ticket.created"'"#);
    let host = site.gateway.address.clone();
    let path = site.path.clone();
    let ask = |line: String| {
        let request = format!("{line} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{{}}");
        exchange(&host, request.as_bytes()).map(|answer| answer.status)
    };
    let last = path.chars().last().expect("a character");
    let other = format!("{}{}", &path[..path.len() - 1], if last == 'a' { 'b' } else { 'a' });
    for wrong in [
        format!("{path}/"),
        format!("{path}x"),
        format!("{path}%00"),
        format!("/{path}"),
        path.to_uppercase(),
        path[..path.len() - 1].to_owned(),
        path.replace("hyi_", "hyi%5f"),
        other,
        "/in".into(),
        "/in/".into(),
        "/in/../in/x".into(),
        format!("/in/hyi_{}", "0".repeat(49)),
    ] {
        assert_eq!(ask(format!("POST {wrong}")).expect("an answer"), 404, "{wrong}");
    }
    for (method, status) in [("PUT", 405), ("DELETE", 405), ("PATCH", 405), ("OPTIONS", 405)] {
        assert_eq!(ask(format!("{method} {path}")).expect("an answer"), status, "{method}");
    }
    assert_eq!(site.bench.count("inbound_events"), 0);
    assert_eq!(ask(format!("POST {path}?token=secret-of-them&x=1")).expect("an answer"), 200);
    // What is in the URL is in no log.
    let secret = &path["/in/hyi_".len() + 6..];
    assert!(!cluster().log().contains(secret) && !cluster().log().contains("secret-of-them"));
}

#[test]
fn adapters_can_be_paused_rotated_and_deleted_while_requests_come() {
    let mut site = Site::open("managed", r#"'managed', '"ticket.created"', requests_per_second => 10000"#);
    let (id, gateway, old) = (site.adapter, site.gateway.url(), site.path.clone());
    let stop = std::sync::atomic::AtomicBool::new(false);
    let statuses = std::sync::Mutex::new(std::collections::BTreeSet::new());
    std::thread::scope(|scope| {
        let _stop = testkit::StopWhenDropped(&stop);
        for _ in 0..3 {
            scope.spawn(|| {
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    let answer = post(&gateway, &old, &[], br#"{"id": 1}"#).expect("an answer");
                    statuses.lock().unwrap().insert(answer.status);
                }
            });
        }
        for _ in 0..10 {
            site.bench.run(&format!("SELECT hydra.inbound_pause({id})"));
            assert_eq!(site.post(&[], b"{}"), "503");
            site.bench.run(&format!("SELECT hydra.inbound_resume({id})"));
            assert_eq!(site.post(&[], b"{}"), "200 unmatched");
        }
        let url: String = site.bench.ask(&format!("SELECT hydra.inbound_rotate_url({id}, '1 hour')"));
        assert_eq!(site.post(&[], b"{}"), "200 unmatched", "the old URL, during the overlap");
        site.path = url.strip_prefix("https://desk.example").expect("a URL").into();
        assert_eq!(site.post(&[], b"{}"), "200 unmatched", "the new URL");
        site.bench.run(&format!("SELECT hydra.inbound_delete({id})"));
        assert_eq!(site.post(&[], b"{}"), "404");
    });
    let statuses = statuses.into_inner().unwrap();
    assert!(statuses.iter().all(|status| [200, 404, 503].contains(status)), "{statuses:?}");
    // What had come is still there.
    assert!(site.bench.count("inbound_events") > 10);
}

/// Each step of such a path looks at all that the step before it has found.
#[test]
fn a_path_that_takes_too_long_for_what_came_says_so() {
    let deep = [&br#"{"id": 1, "x": "#[..], &nested(90), b"}"].concat();
    let mut site = Site::open("slow_paths", r#"'each', '"ticket.created"', each => '$.**.**.**.**.**'"#);
    assert_eq!(site.post(&[JSON], &deep), "422");
    assert_eq!(site.refusal(), "body|the body cannot be read: the JSON paths of the adapter take too long");
    let mapping = r#"'{"*": {"event": "ticket.created", "entity": "$.**.**.**.**.** ? (@.never == 1)"}}'"#;
    (_, site.path) = create_adapter(&mut site.bench, &format!("'entity', {mapping}"));
    assert_eq!(site.post(&[JSON], &deep), "200 unmatched");
    assert_eq!(site.event("reason"), "the event cannot be used: the JSON paths of the adapter take too long");
    assert_eq!(site.post(&[JSON], br#"{"id": 1}"#), "200 unmatched");
}

#[test]
fn counts_of_hops_that_are_no_counts_do_no_harm() {
    let mut site = Site::open("odd_hops", r#"'hops', '"ticket.created"'"#);
    for (value, hops) in [
        ("", 0),
        ("0", 0),
        ("-1", 0),
        ("4", 4),
        (" 4 ", 4),
        ("0x9", 0),
        ("1, 9", 0),
        ("5", 5),
        ("99999", i16::MAX),
        ("999999999999999999999999", i16::MAX),
    ] {
        assert_eq!(site.post(&[JSON, ("x-hydra-hops", value)], br#"{"id": 1}"#), "200 unmatched");
        let found = site.event("hops, reason LIKE 'loop: %'");
        assert_eq!(found, format!("{hops}|{}", if hops >= 5 { "t" } else { "f" }), "{value:?}");
    }
}
