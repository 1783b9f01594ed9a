//! Messages at the gateway: who may send them, from where, and what is no message.

use serde_json::json;

use crate::{Office, REVISION};

#[test]
fn a_key_needs_the_scope_mcp_and_is_told_so() {
    let mut office = Office::open("messages_scope");
    let key = office.key("tickets:read", "tenant_id => 'acme'");
    let refused = office.request(&key, "tools/list", json!({}));
    assert_eq!(refused.status, 403, "{refused:?}");
    assert_eq!(refused.header("www-authenticate"), Some("Bearer error=\"insufficient_scope\", scope=\"mcp\""));
    assert_eq!(refused.header("content-type"), Some("application/problem+json"));
    let only = office.key("mcp", "tenant_id => 'acme'");
    assert_eq!(office.names(&only), [""; 0]);
}

#[test]
fn without_a_key_or_with_one_that_was_revoked_nothing_is_answered() {
    let mut office = Office::open("messages_key");
    let nobody = office.gateway.connect().request("POST", "/mcp", &[], b"{}");
    assert_eq!((nobody.status, nobody.header("www-authenticate")), (401, Some("Bearer")), "{nobody:?}");
    assert_eq!(office.request(&office.key, "tools/list", json!({})).status, 200);
    office.bench.run("SELECT hydra.api_key_revoke(1)");
    assert_eq!(office.request(&office.key, "tools/list", json!({})).status, 401);
}

#[test]
fn there_is_nothing_to_get_and_nothing_to_delete() {
    let office = Office::open("messages_methods");
    let bearer = format!("Bearer {}", office.key);
    for method in ["GET", "DELETE", "PUT"] {
        let answer = office.gateway.connect().request(method, "/mcp", &[("authorization", &bearer)], b"");
        assert_eq!((answer.status, answer.header("allow")), (405, Some("POST")), "{method}: {answer:?}");
    }
}

#[test]
fn a_page_of_another_site_is_refused_and_so_is_a_form() {
    let office = Office::open("messages_origin");
    let own = format!("http://{}", office.gateway.address);
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "ping"}).to_string();
    for (origin, status) in [("http://evil.example", 403), ("null", 403), (own.as_str(), 200)] {
        let answer = office.post(&office.key, &[("origin", origin)], &body);
        assert_eq!(answer.status, status, "{origin}: {answer:?}");
    }
    // A name that somebody has made lead here.
    let rebound = office.post(&office.key, &[("host", "evil.example"), ("origin", "http://evil.example")], &body);
    assert_eq!(rebound.status, 403, "{rebound:?}");
    let bearer = format!("Bearer {}", office.key);
    let headers = [("authorization", bearer.as_str()), ("content-type", "text/plain")];
    assert_eq!(office.gateway.connect().request("POST", "/mcp", &headers, body.as_bytes()).status, 415);
}

#[test]
fn the_status_says_to_a_client_of_the_newest_revision_what_was_wrong() {
    let office = Office::open("messages_status");
    for (method, status, code) in [("ping", 404, -32601), ("initialize", 404, -32601), ("tools/call", 400, -32602)] {
        let answer = office.request(&office.key, method, json!({}));
        assert_eq!((answer.status, &answer.json()["error"]["code"]), (status, &json!(code)), "{method}: {answer:?}");
    }
    let list = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"}).to_string();
    let mismatch = office.post(&office.key, &[("mcp-protocol-version", REVISION), ("mcp-method", "ping")], &list);
    assert_eq!((mismatch.status, &mismatch.json()["error"]["code"]), (400, &json!(-32020)), "{mismatch:?}");
    let future = office.post(&office.key, &[("mcp-protocol-version", "2099-01-01")], &list);
    assert_eq!((future.status, &future.json()["error"]["code"]), (400, &json!(-32022)), "{future:?}");
    let broken = office.post(&office.key, &[], "[");
    assert_eq!((broken.status, &broken.json()["error"]["code"]), (400, &json!(-32700)), "{broken:?}");
    let notification = json!({"jsonrpc": "2.0", "method": "notifications/initialized"}).to_string();
    let accepted = office.post(&office.key, &[], &notification);
    assert_eq!((accepted.status, accepted.body.as_str()), (202, ""), "{accepted:?}");
}

#[test]
fn calls_count_for_the_quota_of_the_key() {
    let mut office = Office::open("messages_quota");
    let key = office.key(crate::ALL, "tenant_id => 'acme', requests_per_minute => 2");
    for left in ["1", "0"] {
        let answer = office.request(&key, "tools/list", json!({}));
        assert_eq!((answer.status, answer.header("x-ratelimit-remaining")), (200, Some(left)), "{answer:?}");
    }
    assert_eq!(office.request(&key, "tools/list", json!({})).status, 429);
}
