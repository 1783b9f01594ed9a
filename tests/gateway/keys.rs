//! API keys at a gateway: who is let in, how much, and when no more.

use std::time::Instant;

use testkit::gateway::Gateway;
use testkit::{Bench, PATIENCE, wait_until};

use crate::{cluster, create_key};

#[test]
fn a_key_is_asked_about_and_no_gateway_accepts_it_a_second_after_it_was_revoked() {
    let mut bench = Bench::new(cluster(), "keys_revoked");
    let gateways = [(); 2].map(|()| Gateway::start(&bench));
    // Again if the machine has paused, because then it is not known how soon the gateways refuse the key.
    wait_until("both were asked within a second", PATIENCE, || {
        let key = create_key(&mut bench.client, "role => 'app', tenant_id => 'acme'");
        for gateway in &gateways {
            let me = gateway.me(&key);
            assert_eq!((me.status, me.json()["tenant_id"].as_str()), (200, Some("acme")), "{me:?}");
            assert_eq!(me.header("content-type"), Some("application/json"));
            assert!(me.header("hydra-key").is_none() && me.header("x-request-id").is_some(), "{me:?}");
        }
        bench.run("SELECT hydra.api_key_revoke(max(id)) FROM hydra.api_keys");
        let revoked = Instant::now();
        for gateway in &gateways {
            assert_eq!(gateway.me(&key).status, 401);
        }
        revoked.elapsed().as_millis() < 1000
    });
}

#[test]
fn a_gateway_and_the_database_refuse_a_credential_in_the_same_words() {
    let mut bench = Bench::new(cluster(), "keys_refused");
    let gateway = Gateway::start(&bench);
    let revoked = create_key(&mut bench.client, "role => 'app'");
    bench.run("SELECT hydra.api_key_revoke(1)");
    let bearer = format!("Bearer {revoked}");
    let mut shapes = Vec::new();
    for headers in [
        &[("authorization", bearer.as_str())][..],
        // Refused by the gateway, because it was refused a moment ago.
        &[("authorization", bearer.as_str())],
        &[("authorization", "Bearer hyk_wrong")],
        &[("authorization", "Basic eDp5")],
        &[],
    ] {
        for path in ["/api/v1/me", "/api/v1/nothing"] {
            let answer = gateway.get(path, headers);
            let mut body = answer.json();
            body["request_id"].take();
            let mut names: Vec<_> = answer.headers.iter().map(|(name, _)| name.clone()).collect();
            names.sort();
            shapes.push((answer.status, body.to_string(), names));
        }
    }
    assert_eq!(shapes[0].0, 401);
    assert!(shapes.iter().all(|shape| *shape == shapes[0]), "{shapes:#?}");
}

#[test]
fn a_key_that_has_used_up_its_requests_gets_429_and_when_to_come_again() {
    let mut bench = Bench::new(cluster(), "keys_quota");
    let gateway = Gateway::start(&bench);
    let key = create_key(&mut bench.client, "role => 'app', requests_per_minute => 3");
    for left in ["2", "1", "0"] {
        let answer = gateway.me(&key);
        assert_eq!((answer.status, answer.header("x-ratelimit-remaining")), (200, Some(left)), "{answer:?}");
        assert_eq!(answer.header("x-ratelimit-limit"), Some("3"));
        assert_eq!(answer.header("ratelimit-policy"), Some("\"default\";q=3;w=60"));
        assert!(answer.header("ratelimit").unwrap().starts_with(&format!("\"default\";r={left};t=")));
    }
    let over = gateway.me(&key);
    assert_eq!((over.status, over.header("content-type")), (429, Some("application/problem+json")), "{over:?}");
    let seconds: u64 = over.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=20).contains(&seconds), "{over:?}");
    // Its other keys go on, and so do others with the same role.
    let other = create_key(&mut bench.client, "role => 'app'");
    assert_eq!(gateway.me(&other).status, 200);
}

#[test]
fn gateways_report_what_was_used_and_share_the_quota() {
    let mut bench = Bench::new(cluster(), "keys_shared");
    let gateways = [(); 2].map(|()| Gateway::start(&bench));
    let key = create_key(&mut bench.client, "role => 'app', requests_per_minute => 10");
    wait_until("both have reported", PATIENCE, || {
        bench.ask::<i64>("SELECT count(*) FROM hydra.gateways WHERE live") == 2
    });
    let [first, second] = &gateways;
    wait_until("the first has learnt of the second", PATIENCE, || {
        let fresh = create_key(&mut bench.session(), "role => 'app', requests_per_minute => 10");
        // Of a share of five, one has been taken, so four are left here, and as many at the other.
        first.me(&fresh).header("x-ratelimit-remaining") == Some("8")
    });
    assert_eq!(second.me(&key).status, 200);
    wait_until("the use is reported", PATIENCE, || {
        bench.ask::<bool>(
            "SELECT last_used_at IS NOT NULL FROM hydra.api_keys WHERE requests_per_minute = 10 AND id = 1",
        )
    });
    second.signal("TERM");
    wait_until("who ends says so", PATIENCE, || {
        bench.ask::<i64>("SELECT count(*) FROM hydra.gateways WHERE live") == 1
    });
}
