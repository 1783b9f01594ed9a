//! Requests that are refused, and handshakes.

use hmac::{Hmac, KeyInit, Mac};
use serde_json::json;
use sha2::Sha256;

use crate::{Door, PUBLIC_URL, github, issue, pairs};

const SECRET: &str = "It is very secret";

fn mac(key: &str, bytes: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).expect("any length");
    mac.update(bytes.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

#[test]
fn a_request_with_a_wrong_signature_is_refused_kept_and_changes_nothing() {
    let mut door = Door::with_flow("refused");
    let adapter = door.adapter(&format!("'{{\"issues.opened\": \"ticket.created\"}}', 'github', '{SECRET}'"));
    let body = issue(1).to_string();
    let mut forged = github("another secret", "1", &body).to_vec();
    forged.push(("X-Api-Key".into(), "canary-of-a-key".into()));
    let unsigned = [("x-github-event", "issues")];
    for (headers, body) in
        [(&pairs(&forged)[..], body.as_str()), (&unsigned, &body), (&pairs(&github(SECRET, "1", &body)), "{}")]
    {
        let answer = door.post(&adapter, headers, body);
        assert_eq!(answer.status, 401, "{answer:?}");
        assert!(!answer.body.contains("ignature"), "a stranger does not learn why: {answer:?}");
    }
    assert_eq!(door.events(&adapter, "id"), "");
    assert_eq!(
        door.column(&adapter, "concat_ws(' ', received, refused, last_refused_at > now() - interval '1 h')"),
        "0 3 t"
    );
    let kept: String = door.bench.ask(
        "SELECT concat_ws(' ', stage, method, convert_from(body, 'UTF8') ^@ '{\"action\"', headers::text ~ 'canary', headers::text ~* 'x-hub-signature-256')
         FROM hydra.inbound_refusals ORDER BY id LIMIT 1",
    );
    assert_eq!(kept.to_lowercase(), "signature post t f t");
    assert!(door.effects().is_empty());
    // With the same id, the genuine one is not a duplicate.
    assert_eq!(door.post(&adapter, &pairs(&github(SECRET, "1", &body)), &body).status, 200);
    assert_eq!(door.effects().len(), 1);
}

#[test]
fn only_the_latest_twenty_refused_requests_are_kept() {
    let mut door = Door::open("twenty");
    let adapter = door.adapter(&format!("'\"ticket.created\"', 'github', '{SECRET}', requests_per_second => 1000"));
    for number in 1..=25 {
        assert_eq!(door.post(&adapter, &[], &format!("{number}")).status, 401);
    }
    let kept = "SELECT count(*) || ' ' || min(convert_from(body, 'UTF8')::int) FROM hydra.inbound_refusals";
    assert_eq!(door.bench.ask::<String>(kept), "20 6");
    assert_eq!(door.column(&adapter, "refused"), "25");
}

#[test]
fn a_refused_request_can_be_tried_with_another_scheme_and_with_the_right_secret() {
    let mut door = Door::with_flow("tried");
    let adapter = door.adapter("'{\"issues.opened\": \"ticket.created\"}', 'github', 'a wrong secret'");
    let body = issue(1).to_string();
    assert_eq!(door.post(&adapter, &pairs(&github(SECRET, "1", &body)), &body).status, 401);
    let refused: i64 = door.bench.ask("SELECT id FROM hydra.inbound_refusals");
    let tried = |door: &mut Door, arguments: &str| -> String {
        door.bench.ask(&format!(
            "SELECT string_agg(lower(stage) || ' ' || ok, ',') FROM hydra.inbound_try({}, {arguments})",
            adapter.id
        ))
    };
    let of_refused = format!("refused_id => {refused}");
    assert!(tried(&mut door, &of_refused).ends_with("signature false"));
    // A scheme that is not that of the request, and none at all.
    let other =
        r#"'{"signature": {"header": "X-Other", "signs": "{body}", "algorithm": "hmac-sha256", "encoding": "hex"}}'"#;
    assert!(tried(&mut door, &format!("{of_refused}, scheme => {other}")).ends_with("signature false"));
    assert!(tried(&mut door, &format!("{of_refused}, scheme => '{{}}'")).contains("events true"));
    door.bench.run(&format!("SELECT hydra.inbound_rotate_secret({}, '{SECRET}')", adapter.id));
    assert!(tried(&mut door, &of_refused).ends_with("mapping true"), "{}", tried(&mut door, &of_refused));
    assert!(tried(&mut door, "'{\"X-GitHub-Event\": \"push\"}', '{}'").ends_with("signature false"));
    let nothing = door.bench.ask::<i64>("SELECT count(*) FROM hydra.inbound_events") + door.effects().len() as i64;
    assert_eq!(nothing, 0, "a trial has no effect");
}

#[test]
fn a_paused_adapter_asks_the_sender_to_come_again() {
    let mut door = Door::with_flow("paused");
    let adapter = door.adapter("'\"ticket.created\"'");
    door.bench.run(&format!("SELECT hydra.inbound_pause({})", adapter.id));
    let answer = door.post(&adapter, &[], "{}");
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("60")), "{answer:?}");
    assert_eq!(
        door.column(&adapter, "concat_ws(' ', state, received, refused, last_refusal)"),
        "paused 0 1 the adapter is paused"
    );
    door.bench.run(&format!("SELECT hydra.inbound_resume({})", adapter.id));
    assert_eq!(door.post(&adapter, &[], "{}").status, 200);
}

#[test]
fn handshakes_are_answered_where_the_scheme_declares_them_and_nowhere_else() {
    let mut door = Door::open("handshakes");
    let slack = door.adapter(&format!("'\"ticket.created\"', 'slack', '{SECRET}'"));
    let body = json!({"type": "url_verification", "challenge": "abc<script>"}).to_string();
    let now: i64 = door.bench.ask("SELECT extract(epoch FROM now())::bigint");
    let signature = format!("v0={}", hex::encode(mac(SECRET, &format!("v0:{now}:{body}"))));
    let now = now.to_string();
    let headers = [
        ("x-slack-signature", signature.as_str()),
        ("x-slack-request-timestamp", &now),
        ("content-type", "application/json"),
    ];
    let answer = door.post(&slack, &headers, &body);
    assert_eq!((answer.status, answer.body.as_str()), (200, "abc<script>"), "{answer:?}");
    assert!(answer.header("content-type").unwrap().starts_with("text/plain"), "{answer:?}");
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(door.events(&slack, "id"), "");

    let meta = door.adapter("'\"ticket.created\"', 'meta', 'appsecret:verifytoken'");
    let query = |token: &str| format!("{}?hub.mode=subscribe&hub.verify_token={token}&hub.challenge=123", meta.path);
    let answer = door.gateway.get(&query("verifytoken"), &[]);
    assert_eq!((answer.status, answer.body.as_str()), (200, "123"), "{answer:?}");
    assert_eq!(door.gateway.get(&query("wrong"), &[]).status, 401);
    assert!(!door.bench.ask::<bool>("SELECT bool_or(query ~ 'wrong') FROM hydra.inbound_refusals"));

    let none = door.adapter("'\"ticket.created\"'");
    let answer = door.gateway.get(&format!("{}?hub.mode=subscribe&hub.challenge=123", none.path), &[]);
    assert!(answer.status >= 400 && !answer.body.contains("123"), "{answer:?}");
}

#[test]
fn a_signature_over_the_url_is_verified_with_the_public_url_whatever_the_host_is() {
    let mut door = Door::with_flow("signed_urls");
    let scheme =
        r#"{"signature": {"header": "x-sig", "signs": "{url}{body}", "algorithm": "hmac-sha256", "encoding": "hex"}}"#;
    let adapter = door.adapter(&format!("'\"ticket.created\"', secret => '{SECRET}', scheme => '{scheme}'"));
    let body = r#"{"hello": "world"}"#;
    let signed = |url: &str| hex::encode(mac(SECRET, &format!("{url}{body}")));
    let genuine = signed(&format!("{PUBLIC_URL}{}", adapter.path));
    for host in ["hooks.example.com", "inner:8480"] {
        let answer = door.post(&adapter, &[("host", host), ("x-sig", &genuine)], body);
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    let of_host = signed(&format!("http://{}{}", door.gateway.address, adapter.path));
    assert_eq!(door.post(&adapter, &[("x-sig", &of_host)], body).status, 401);
    let with_query = crate::Adapter { path: format!("{}?a=1&b=%20", adapter.path), ..adapter.clone() };
    let genuine = signed(&format!("{PUBLIC_URL}{}", with_query.path));
    assert_eq!(door.post(&with_query, &[("x-sig", &genuine)], body).status, 200);
    // The URL is stored only there, and sealed.
    let stored = "SELECT string_agg(left(token, 7), ',') FROM hydra.inbound_path";
    assert_eq!(door.bench.ask::<String>(stored), "sealed:");
    door.adapter("'\"ticket.created\"'");
    assert_eq!(door.bench.ask::<i64>("SELECT count(*) FROM hydra.inbound_path WHERE token IS NULL"), 1);
}
