//! Secrets: their forms, and that none of them reaches a text.

use serde_json::json;

use super::*;
use crate::signer::{Pair, sign};
use crate::verify::mac;

const AT: i64 = 1_777_487_580_000;

fn with_key(form: &str) -> Scheme {
    Scheme::parse(&json!({
        "signature": {"header": "S", "signs": "{body}", "algorithm": "hmac-sha256", "encoding": "hex", "key": form},
    }))
    .unwrap()
}

#[test]
fn a_key_is_the_text_or_what_its_base64_or_hexadecimal_digits_stand_for() {
    let signature = |key: &[u8]| hex::encode(mac::hmac_sha256(key, &[b"{}"]));
    for (form, key) in [("text", &b"6b6b"[..]), ("base64", b"\xe9\xbe\x9b"), ("hex", b"kk")] {
        let draft = Draft::json(URL, "{}").with("S", &signature(key));
        judge(&with_key(form), &["6b6b"], &draft, AT).expect(form);
    }
}

#[test]
fn a_secret_of_the_wrong_form_is_refused_when_it_is_given_and_when_it_is_used() {
    let wrong = [("standard", "whsec_#"), ("standard", "whsec_"), ("sendgrid", "a2V5"), ("sendgrid", "no base64")];
    let wrong = wrong.into_iter().chain([("github", ""), ("microsoft_graph", ""), ("twilio", ""), ("stripe", " k")]);
    for (name, secret) in wrong.chain([("stripe", "k\n")]) {
        let refusal = provider(name).check_secret(secret.as_bytes()).expect_err(name);
        assert!(refusal.detail.is_some() && refusal.hint.is_some(), "{refusal:?}");
        assert!(secret.trim().is_empty() || !format!("{refusal:?}").contains(secret.trim()) || secret.len() < 4);
    }
    let draft = sign(&provider("standard"), &[b"whsec_b2xk".to_vec()], Draft::json(URL, "{}"), "1", AT);
    assert_denied(judge(&provider("standard"), &["whsec_#"], &draft, AT), Stage::Signature, "is no key");
    judge(&provider("standard"), &["whsec_#", "whsec_b2xk"], &draft, AT).expect("the other secret fits");
}

#[test]
fn secrets_as_providers_give_them_are_accepted() {
    let sendgrid = Pair::of_private_key([7; 32]);
    let right = [
        ("standard", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
        ("standard", "whsec_b2xkZQ"),
        ("svix", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
        ("stripe", "whsec_#"),
        ("meta", "app:token"),
        ("sendgrid", str::from_utf8(&sendgrid.secret).unwrap()),
        ("none", "anything"),
    ];
    for (name, secret) in right {
        provider(name).check_secret(secret.as_bytes()).expect(name);
    }
    let refusal = provider("meta").check_secret(b"app").unwrap_err();
    assert_eq!(refusal.message, "the secret has no verify token");
}

#[test]
fn nothing_is_accepted_without_a_secret_where_the_scheme_needs_one() {
    for name in Scheme::provider_names() {
        let scheme = provider(name);
        let result = judge(&scheme, &[], &Draft::json(URL, "{}"), AT);
        assert_eq!(scheme.needs_secret(), !matches!(*name, "none" | "mime" | "postmark"), "{name}");
        if scheme.needs_secret() {
            assert_denied(result, Stage::Request, "no secret");
            assert_denied(judge(&scheme, &[""], &Draft::json(URL, "{}"), AT), Stage::Request, "no secret");
        } else {
            result.expect(name);
        }
    }
}

/// An HMAC with an empty key is something that everybody can compute.
#[test]
fn an_empty_secret_beside_another_signs_nothing() {
    let github = format!("sha256={}", hex::encode(mac::hmac_sha256(b"", &[])));
    let forged = [
        ("github", Draft::json(URL, "").with("X-Hub-Signature-256", &github)),
        ("twilio", sign(&provider("twilio"), &[Vec::new()], Draft::json(URL, ""), "1", AT)),
        ("mailgun", sign(&provider("mailgun"), &[Vec::new()], Draft::json(URL, "{}"), "1", AT)),
    ];
    for (name, forged) in forged {
        for secrets in [["real", ""], ["", "real"]] {
            assert_denied(judge(&provider(name), &secrets, &forged, AT), Stage::Signature, "does not fit");
        }
    }
}

#[test]
fn no_reason_has_a_secret_a_signature_or_a_part_of_the_body() {
    let (secret, body) = ("topsecret", r#"{"password": "hunter2", "webhookTimestamp": 1}"#);
    for name in Scheme::provider_names() {
        let scheme = provider(name);
        let pair = if *name == "sendgrid" { Pair::of_private_key([7; 32]) } else { Pair::shared("whsec_dG9wc2VjcmV0") };
        let draft = if *name == "twilio" { Draft::form(URL, body) } else { Draft::json(URL, body) };
        let draft = sign(&scheme, &[pair.signing], draft, "msg_1", AT);
        let signatures: Vec<_> =
            draft.headers.iter().map(|(_, value)| value.clone()).filter(|v| v.len() > 20).collect();
        let changed = Draft { body: body.replace("1}", "2}").into_bytes(), ..draft };
        for secrets in [&[secret][..], &["whsec_dG9wc2VjcmV0"], &[]] {
            let Err(denied) = judge(&scheme, secrets, &changed, AT + 1) else { continue };
            let text = format!("{denied:?} {denied}");
            for hidden in [secret, "dG9wc2VjcmV0", "hunter2"].into_iter().chain(signatures.iter().map(String::as_str)) {
                assert!(!text.contains(hidden), "{name}: {text}");
            }
        }
    }
}
