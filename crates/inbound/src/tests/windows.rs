//! Times, replays, and several signatures in one header.

use super::*;
use crate::signer::sign;

const AT: i64 = 1_777_487_580_000;

fn signed(name: &str, keys: &[&str]) -> Draft {
    let keys: Vec<Vec<u8>> = keys.iter().map(|key| key.as_bytes().to_vec()).collect();
    let body = format!(r#"{{"type": "Issue", "action": "create", "webhookTimestamp": {AT}}}"#);
    sign(&provider(name), &keys, Draft::json(URL, &body), "msg_1", AT)
}

#[test]
fn a_request_is_accepted_within_its_window_and_refused_outside_it_in_either_direction() {
    let windows = [("stripe", 300), ("slack", 300), ("linear", 60), ("zendesk", 300), ("standard", 300), ("zoom", 300)];
    for (name, window) in windows {
        let draft = signed(name, &["whsec_b2xk"]);
        for edge in [-1, 1] {
            let accepted = judge(&provider(name), &["whsec_b2xk"], &draft, AT + edge * window * 1000);
            assert_eq!(accepted.expect(name).timestamp, Some(AT));
            let late = judge(&provider(name), &["whsec_b2xk"], &draft, AT + edge * (window * 1000 + 1));
            assert_denied(late, Stage::Timestamp, "too far");
        }
    }
}

#[test]
fn a_time_is_signed_as_it_is_written() {
    let scheme = Scheme::parse(&serde_json::json!({
        "signature": {"header": "S", "signs": "{timestamp}{body}", "algorithm": "hmac-sha256", "encoding": "hex"},
        "timestamp": {"header": "T", "format": "rfc3339"},
    }))
    .unwrap();
    for written in ["2026-04-29T18:33:00Z", "2026-04-29T20:33:00.000+02:00", "2026-04-29T18:33:00.5z"] {
        let body = hex::encode(crate::verify::mac::hmac_sha256(b"k", &[written.as_bytes(), b"{}"]));
        let draft = Draft::json(URL, "{}").with("S", &body).with("T", written);
        let at = judge(&scheme, &["k"], &draft, AT).expect(written).timestamp.unwrap();
        assert!((AT..AT + 1000).contains(&at), "{written} is {at}");
    }
}

#[test]
fn a_time_that_cannot_be_read_or_is_missing_is_refused() {
    let scheme = provider("slack");
    for wrong in ["", " ", "x", "-1", "+1777487580", "1777487580.0", "99999999999999999999", "17774875800000"] {
        let mut draft = signed("slack", &["k"]);
        *draft.header("X-Slack-Request-Timestamp").unwrap() = wrong.to_owned();
        assert_eq!(judge(&scheme, &["k"], &draft, AT).unwrap_err().stage, Stage::Timestamp, "{wrong:?}");
    }
    let twice = signed("slack", &["k"]).with("x-slack-request-timestamp", "1777487580");
    assert_denied(judge(&scheme, &["k"], &twice, AT), Stage::Timestamp, "more than once");
    let mut stripe = signed("stripe", &["k"]);
    let header = stripe.header("Stripe-Signature").unwrap();
    *header = format!("t=1777487580,{header}");
    assert_denied(judge(&provider("stripe"), &["k"], &stripe, AT), Stage::Timestamp, "exactly one part t");
    let no_time = Draft::json(URL, "{}");
    let no_time = sign(&provider("linear"), &[b"k".to_vec()], no_time, "1", AT);
    assert_denied(judge(&provider("linear"), &["k"], &no_time, AT), Stage::Timestamp, "no time at $.webhookTimestamp");
}

#[test]
fn while_a_secret_is_replaced_old_and_new_are_accepted_on_both_sides() {
    for name in ["stripe", "paddle", "standard", "svix", "hydra"] {
        let scheme = provider(name);
        let both = signed(name, &["whsec_bmV3", "whsec_b2xk"]);
        for secrets in [&["whsec_bmV3"][..], &["whsec_b2xk"], &["whsec_eHg=", "whsec_b2xk"]] {
            judge(&scheme, secrets, &both, AT).unwrap_or_else(|denied| panic!("{name}: {denied:?}"));
        }
        let old = signed(name, &["whsec_b2xk"]);
        let accepted = judge(&scheme, &["whsec_bmV3", "whsec_b2xk"], &old, AT).expect(name);
        assert!(accepted.steps.iter().any(|step| step.says == "it was signed with secret 2 of 2"), "{accepted:?}");
        assert_denied(judge(&scheme, &["whsec_bmV3"], &old, AT), Stage::Signature, "does not fit");
    }
}

#[test]
fn parts_of_a_header_that_are_not_known_are_skipped() {
    let mut stripe = signed("stripe", &["k"]);
    let header = stripe.header("Stripe-Signature").unwrap();
    *header = format!("v0=00, {}, v2, =, v1=zz", header.replace(",v1", ", v1"));
    judge(&provider("stripe"), &["k"], &stripe, AT).expect("one is genuine");
    let mut standard = signed("standard", &["whsec_b2xk"]);
    let header = standard.header("webhook-signature").unwrap();
    *header = format!(
        "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg== {header} v1,"
    );
    judge(&provider("standard"), &["whsec_b2xk"], &standard, AT).expect("one is genuine");
}

#[test]
fn only_so_many_signatures_are_compared() {
    let mut stripe = signed("stripe", &["k"]);
    let header = stripe.header("Stripe-Signature").unwrap();
    let (time, genuine) = header.split_once(',').unwrap();
    let wrong = format!(",v1={}", "0".repeat(64));
    *header = format!("{time}{},{genuine}", wrong.repeat(31));
    judge(&provider("stripe"), &["k"], &stripe, AT).expect("the last of 32");
    let header = stripe.header("Stripe-Signature").unwrap();
    *header = header.replacen(&wrong, &wrong.repeat(2), 1);
    assert_denied(judge(&provider("stripe"), &["k"], &stripe, AT), Stage::Signature, "does not fit");
    *stripe.header("Stripe-Signature").unwrap() = "v1=00,".repeat(2000);
    assert_denied(judge(&provider("stripe"), &["k"], &stripe, AT), Stage::Signature, "too long");
}

#[test]
fn a_header_without_a_signature_says_what_is_expected() {
    let cases = [
        ("github", "X-Hub-Signature-256", "sha1=00", "has no signature", "It needs sha256= and hexadecimal digits."),
        ("github", "X-Hub-Signature-256", "sha256=0", "cannot be read", "It needs sha256= and hexadecimal digits."),
        ("shopify", "X-Shopify-Hmac-Sha256", "a", "cannot be read", "It needs base64."),
        ("standard", "webhook-signature", "v2,aaaa", "has no signature", "It needs a part v1, and base64."),
    ];
    for (name, header, value, reason, detail) in cases {
        let mut draft = signed(name, &["whsec_b2xk"]);
        *draft.header(header).unwrap() = value.to_owned();
        let denied = judge(&provider(name), &["whsec_b2xk"], &draft, AT).unwrap_err();
        assert!(denied.reason.contains(reason) && denied.detail.as_deref() == Some(detail), "{denied:?}");
        *draft.header(header).unwrap() = String::new();
        assert_denied(judge(&provider(name), &["whsec_b2xk"], &draft, AT), Stage::Signature, "has no header");
    }
}
