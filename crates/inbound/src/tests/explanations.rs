//! What people are told about a request.

use super::*;
use crate::signer::sign;
use crate::verify::{Explained, explain, mac};

const AT: i64 = 1_777_487_580_000;

fn explained(name: &str, secret: &str, draft: &Draft) -> Explained {
    explain(&provider(name), &[secret.as_bytes().to_vec()], &draft.arriving(), AT)
}

fn stages(explained: &Explained) -> Vec<Stage> {
    explained.steps.iter().map(|step| step.stage).collect()
}

fn signed(name: &str, key: &str) -> Draft {
    sign(&provider(name), &[key.as_bytes().to_vec()], Draft::json(URL, r#"{"type": "a.b"}"#), "m1", AT)
}

#[test]
fn each_stage_says_what_it_found_until_one_refuses() {
    let draft = signed("standard", "whsec_b2xk");
    let genuine = explained("standard", "whsec_b2xk", &draft);
    assert!(matches!(genuine.verdict, Ok(Verdict::Accepted(_))));
    let all = [Stage::Request, Stage::Timestamp, Stage::Signature, Stage::Id, Stage::Body];
    assert_eq!(stages(&genuine), all);
    let says: Vec<&str> = genuine.steps.iter().map(|step| &*step.says).collect();
    assert_eq!(says[3..], ["the id is m1", "the type is a.b"]);

    let refused = explained("standard", "whsec_bmV3", &draft);
    assert_eq!(refused.verdict.unwrap_err().stage, Stage::Signature);
    assert_eq!(refused.steps, genuine.steps[..2]);
    let late = explain(&provider("standard"), &[b"whsec_b2xk".to_vec()], &draft.arriving(), AT + 301_000);
    assert_eq!((stages(&late), late.advice), (vec![Stage::Request], None));
    let denied = late.verdict.unwrap_err();
    assert_eq!(denied.to_string(), "timestamp: the time of the request is too far from the clock");
    let detail = "It is 301 s before the clock of this server. 300 s are allowed.";
    assert_eq!(denied.detail.as_deref(), Some(detail));
}

#[test]
fn a_secret_that_is_read_in_the_wrong_way_is_recognized() {
    let hex = |key: &[u8]| format!("sha256={}", hex::encode(mac::hmac_sha256(key, &[b"{}"])));
    let cases = [
        ("github", "6b6b", hex(b"kk"), "as hexadecimal digits."),
        ("github", "b2xk", hex(b"old"), "as base64."),
        ("github", "whsec_b2xk", hex(b"old"), "as base64 without whsec_."),
    ];
    for (name, secret, signature, said) in cases {
        let draft = Draft::json(URL, "{}").with("X-Hub-Signature-256", &signature);
        let advice = explained(name, secret, &draft).advice.expect(said);
        assert!(advice.starts_with("The signature fits if the secret is read") && advice.ends_with(said), "{advice}");
    }
    let wrong = Draft::json(URL, "{}").with("X-Hub-Signature-256", &hex(b"other"));
    assert_eq!(explained("github", "6b6b", &wrong).advice, None);
}

#[test]
fn a_public_url_that_is_not_the_one_that_was_signed_is_recognized() {
    let genuine = signed("square", "k");
    for (url, said) in [
        (URL.replace("https", "http"), "with the other of http and https"),
        (format!("{URL}/"), "with or without a slash"),
        (format!("{URL}?utm=1"), "without its query"),
    ] {
        let advice = explained("square", "k", &Draft { url, ..genuine.clone() }).advice.expect(said);
        assert!(advice.contains(said) && advice.contains("hydra_webhooks.public_url"), "{advice}");
    }
    let elsewhere = Draft { url: "https://other.example/".to_owned(), ..genuine };
    assert_eq!(explained("square", "k", &elsewhere).advice, None);
}

#[test]
fn a_request_of_another_provider_is_recognized() {
    let advice = explained("stripe", "k", &signed("github", "k")).advice;
    assert_eq!(advice.as_deref(), Some("The request has the signature header of: github, meta."));
    assert_eq!(explained("stripe", "k", &Draft::json(URL, "{}")).advice, None);
    assert_eq!(explained("stripe", "k", &signed("stripe", "k")).advice, None);
}
