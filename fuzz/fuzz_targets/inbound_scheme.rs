//! A scheme as a user writes it: one that is accepted is read again as the same, and what is signed as it says is accepted,
//! and refused with another body.
#![no_main]

use inbound::scheme::{KeyForm, Scheme, Signature};
use inbound::signer::{Draft, sign};
use inbound::{Verdict, verify};
use libfuzzer_sys::fuzz_target;

const SECRET: &str = "6b6579";
const AT: i64 = 1_777_487_580_000;

fuzz_target!(|input: &str| {
    let Ok(json) = serde_json::from_str(input) else { return };
    let scheme = match Scheme::parse(&json) {
        Ok(scheme) => scheme,
        Err(refusal) => return assert!(refusal.detail.is_some() && refusal.hint.is_some(), "{refusal:?}"),
    };
    assert_eq!(Scheme::parse(&scheme.to_json()), Ok(scheme.clone()));
    let Some(Signature::Declared(declared)) = &scheme.signature else { return };
    // A prefix that is a part of the secret would leave an odd number of digits.
    let in_body = scheme.timestamp.as_ref().is_some_and(|timestamp| timestamp.path.is_some());
    if declared.key_prefix.is_some() || declared.key == KeyForm::Base64 || in_body || scheme.handshake.is_some() {
        return;
    }
    if scheme.check_secret(SECRET.as_bytes()).is_err() {
        return;
    }
    let signed = sign(&scheme, &[SECRET.into()], Draft::json("https://a/in/1", "{}"), "id_1", AT);
    let judge = |draft: &Draft| verify(&scheme, &[SECRET.into()], &draft.arriving(), AT);
    match judge(&signed) {
        Ok(verdict) => assert!(matches!(verdict, Verdict::Accepted(_))),
        // Two parts in one header, or a header that a separator is in.
        Err(denied) => {
            let names = signed.headers.iter().map(|(name, _)| name.to_ascii_lowercase());
            let distinct: std::collections::BTreeSet<_> = names.collect();
            let plain = declared.parts.as_ref().is_none_or(|parts| [",", ";", " "].contains(&&*parts.separator));
            assert!(distinct.len() < signed.headers.len() || !plain, "{denied:?}: {signed:?}");
        }
    }
    let changed = Draft { body: b"[]".to_vec(), ..signed };
    assert!(judge(&changed).is_err(), "{changed:?}");
});
