//! Among random changes to genuine requests of every provider, none is accepted that changes what was signed.
//!
//! `HYDRA_SEED=17 cargo test -p inbound forgeries` repeats a run.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::*;
use crate::scheme::{Coded, Piece, Signature};
use crate::signer::{Pair, sign};

const ROUNDS: usize = 300;
const AT: i64 = 1_777_487_580_000;

#[derive(Clone, Copy, Debug)]
enum Change {
    Nothing,
    Body,
    Url,
    Id,
    Time,
    Signature,
    NoSignature,
    TwoSignatures,
    Secret,
    Late,
}

const CHANGES: [Change; 10] = [
    Change::Nothing,
    Change::Body,
    Change::Url,
    Change::Id,
    Change::Time,
    Change::Signature,
    Change::NoSignature,
    Change::TwoSignatures,
    Change::Secret,
    Change::Late,
];

/// A genuine request, and the secret with which it is verified.
struct Genuine {
    scheme: Scheme,
    draft: Draft,
    secret: Vec<u8>,
    now_ms: i64,
}

#[test]
fn of_random_changes_to_requests_of_every_provider_none_that_changes_what_was_signed_is_accepted() {
    let seed = std::env::var("HYDRA_SEED").map_or_else(|_| rand::random(), |text| text.parse().expect("a number"));
    println!("HYDRA_SEED={seed}");
    let mut chance = StdRng::seed_from_u64(seed);
    let mut refused = 0;
    for name in Scheme::provider_names() {
        for round in 0..ROUNDS {
            let change = CHANGES[round % CHANGES.len()];
            let mut request = genuine(&mut chance, name);
            let original = request.draft.clone();
            apply(&mut chance, change, &mut request);
            let verdict = verify(&request.scheme, &[request.secret.clone()], &request.draft.arriving(), request.now_ms);
            let harmless = is_harmless(change, &request.scheme, request.draft == original);
            assert_eq!(
                verdict.is_ok(),
                harmless,
                "{name}, {change:?}: {verdict:?}, {:?}, was {original:?}",
                request.draft
            );
            refused += usize::from(!harmless);
        }
    }
    assert!(refused > ROUNDS * 10, "only {refused} were refused");
}

fn genuine(chance: &mut StdRng, name: &str) -> Genuine {
    let scheme = provider(name);
    let pair = match name {
        "sendgrid" => Pair::of_private_key(chance.random()),
        "standard" | "svix" => Pair::shared("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
        "meta" => Pair::shared("app:token"),
        _ => Pair::shared(&format!("k{}", chance.random::<u64>())),
    };
    let state = String::from_utf8_lossy(&pair.secret).into_owned();
    let extra = format!("Größe {} 😀", chance.random::<u32>());
    let body = serde_json::json!({
        "extra": extra, "webhookTimestamp": AT, "value": [{"clientState": state}], "entry": [{"id": 1}],
    });
    let (url, body) = (format!("{URL}?x={}", chance.random::<u16>()), body.to_string());
    let draft = match name {
        "twilio" if chance.random() => Draft::form(&url, &format!("b={}&a=%2B1&c=&a=0", chance.random::<u16>())),
        "twilio" => {
            let hash = crate::scheme::source::digest(body.as_bytes());
            Draft::json(&format!("{url}&bodySHA256={hash}"), &body)
        }
        _ => Draft::json(&url, &body),
    };
    let draft = sign(&scheme, &[pair.signing], draft, &format!("msg_{}", chance.random::<u32>()), AT);
    Genuine { scheme, draft, secret: pair.secret, now_ms: AT + chance.random_range(-60_000..=60_000) }
}

fn apply(chance: &mut StdRng, change: Change, request: &mut Genuine) {
    let Genuine { scheme, draft, secret, now_ms } = request;
    let declared = match &scheme.signature {
        Some(Signature::Declared(declared)) => declared.header.as_str(),
        _ => "X-Twilio-Signature",
    };
    let time = scheme.timestamp.as_ref().and_then(|timestamp| timestamp.header.as_ref());
    match change {
        Change::Nothing => {}
        // Within the text "extra", so that the body stays JSON.
        Change::Body => {
            let at = draft.body.windows(2).position(|two| two == b"Gr").unwrap_or(2);
            draft.body[at] ^= 1 << chance.random_range(0..3);
        }
        Change::Url => draft.url = draft.url.replacen("/in/", "/iN/", 1),
        Change::Id => {
            if let Some(crate::scheme::Source::Header(name)) = scheme.id.first() {
                draft.header(name.as_str()).expect("it has an id").push('0');
            }
        }
        Change::Time => {
            if let Some(name) = time {
                *draft.header(name.as_str()).expect("it has a time") = one_second_later(scheme);
            } else if let Some(header) = draft.header(declared) {
                *header = header.replace("1777487580", "1777487581");
            }
        }
        Change::Signature => change_signature(chance, draft, declared),
        Change::NoSignature => draft.headers.retain(|(name, _)| !name.eq_ignore_ascii_case(declared)),
        Change::TwoSignatures => {
            if let Some(value) = draft.header(declared).cloned() {
                draft.headers.push((declared.to_ascii_lowercase(), value));
            }
        }
        Change::Secret => {
            *secret = match &scheme.signature {
                Some(Signature::Declared(declared)) if declared.header.as_str().starts_with("X-Twilio") => {
                    Pair::of_private_key(chance.random()).secret
                }
                _ => [b"x", &secret[1..]].concat(),
            };
        }
        Change::Late => *now_ms = AT + 301_000,
    }
}

fn one_second_later(scheme: &Scheme) -> String {
    let format = scheme.timestamp.as_ref().expect("it has a time").format;
    crate::signer::written(AT + 1000, format)
}

/// Replaces a digit of the signature by another one.
fn change_signature(chance: &mut StdRng, draft: &mut Draft, header: &str) {
    let Some(value) = draft.header(header) else { return };
    let start = value.rfind(['=', ','].as_slice()).filter(|at| at + 8 < value.len()).map_or(0, |at| at + 1);
    let at = start + chance.random_range(0..8);
    let other = if value.as_bytes()[at] == b'0' { "1" } else { "0" };
    value.replace_range(at..=at, other);
}

fn is_harmless(change: Change, scheme: &Scheme, unchanged: bool) -> bool {
    let signs = |piece: &Piece| match &scheme.signature {
        Some(Signature::Declared(declared)) => declared.signs.has(piece),
        Some(Signature::Coded(Coded::Twilio)) => matches!(piece, Piece::Url | Piece::Body),
        Some(Signature::Coded(Coded::Mailgun)) | None => false,
    };
    let in_header = !matches!(scheme.signature, None | Some(Signature::Coded(Coded::Mailgun)));
    match change {
        Change::Nothing => true,
        Change::Body => !signs(&Piece::Body),
        Change::Url => !signs(&Piece::Url),
        Change::Id => unchanged || !signs(&Piece::Id),
        Change::Time => unchanged,
        Change::Signature | Change::NoSignature | Change::TwoSignatures => !in_header,
        Change::Secret => !scheme.needs_secret(),
        Change::Late => scheme.timestamp.is_none() && scheme.signature != Some(Signature::Coded(Coded::Mailgun)),
    }
}
