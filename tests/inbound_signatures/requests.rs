//! Requests of providers, and changes to them.

use std::time::{SystemTime, UNIX_EPOCH};

use inbound::scheme::{Coded, Piece, Signature};
use inbound::{Scheme, Verdict, verify};
use serde_json::json;
use sha2::{Digest, Sha256};
use testkit::signer::Draft;

const URL: &str = "https://hooks.example.com/in/secret";

/// Some packages compare a time with the clock and cannot be told another one. One allows 60 s in either direction and one 5 s
/// after it, so a time in the near future leaves a slow machine more time than the present.
pub fn soon() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    i64::try_from(now).expect("it fits") + 50
}

/// Requests that are not signed yet.
pub fn bodies(provider: &str) -> Vec<Draft> {
    let time = soon() * 1000;
    let bodies = [
        json!({"type": "Issue", "action": "create", "webhookTimestamp": time, "data": {"id": 1}}).to_string(),
        format!("{{ \"webhookTimestamp\": {time},\n \"größe\": \"5 € \\u00e9 😀\", \"amount\": 1.50 }}\r\n"),
    ];
    if provider != "twilio" {
        return bodies.iter().map(|body| Draft::json(URL, body)).collect();
    }
    let forms = ["To=%2B18005551212&Body=Gr%C3%B6%C3%9Fe+%26+5+%E2%82%AC&From=%2B1415", "b=2&a=1&b=1&b=2&c="];
    let with_hash = |body: &String| {
        let hash = hex::encode(Sha256::digest(body.as_bytes()));
        Draft::json(&format!("{URL}?foo=1&bodySHA256={hash}"), body)
    };
    let forms = forms.iter().map(|form| Draft::form(&format!("{URL}?foo=a%20b"), form));
    forms.chain(bodies.iter().map(with_hash)).collect()
}

/// Returns whether our scheme accepts it at this time, in unix seconds.
pub fn judged(scheme: &Scheme, secret: &str, draft: &Draft, at: i64) -> bool {
    match verify(scheme, &[secret.as_bytes().to_vec()], &draft.arriving(), at * 1000) {
        Ok(Verdict::Accepted(_)) => true,
        Ok(Verdict::Handshake(_)) => panic!("no handshake was sent"),
        Err(_) => false,
    }
}

/// Each differs in one thing that is signed.
pub fn changed(scheme: &Scheme, genuine: &Draft) -> Vec<Draft> {
    let with_body = |body: String| Draft { body: body.into_bytes(), ..genuine.clone() };
    let body = str::from_utf8(&genuine.body).expect("text");
    let mut changed = vec![with_body(body.replacen('1', "2", 1)), with_body(format!("{body}2"))];
    let (header, signs_url, signs_id) = match &scheme.signature {
        Some(Signature::Declared(declared)) => {
            (declared.header.as_str(), declared.signs.has(&Piece::Url), declared.signs.has(&Piece::Id))
        }
        Some(Signature::Coded(Coded::Twilio)) => ("X-Twilio-Signature", true, false),
        _ => panic!("it has no header"),
    };
    if signs_url {
        changed.push(Draft { url: genuine.url.replacen("secret", "sEcret", 1), ..genuine.clone() });
    }
    changed.push(with_header(genuine, header, with_another_character));
    let time = scheme.timestamp.as_ref();
    if let Some(name) = time.and_then(|time| time.header.as_ref()) {
        changed.push(with_header(genuine, name.as_str(), one_later));
    }
    if let Some(part) = time.and_then(|time| time.part.as_ref()) {
        changed.push(with_header(genuine, header, |value| {
            let (time, rest) = value.split_once([',', ';']).expect("a list");
            let separator = &value[time.len()..time.len() + 1];
            format!("{part}={}{separator}{rest}", one_later(&time[part.len() + 1..]))
        }));
    }
    if signs_id {
        let id = genuine.headers.iter().find(|(name, _)| name.ends_with("-id")).expect("an id");
        changed.push(with_header(genuine, &id.0, |id| format!("{id}0")));
    }
    changed
}

fn with_header(genuine: &Draft, name: &str, change: impl FnOnce(&str) -> String) -> Draft {
    let mut draft = genuine.clone();
    let value = draft.header(name).unwrap_or_else(|| panic!("{name} is missing"));
    *value = change(value);
    draft
}

/// Replaces a character in the middle of the signature, which is the last value of the header.
fn with_another_character(value: &str) -> String {
    let at = value.len() - 12;
    let other = if &value[at..=at] == "0" { "1" } else { "0" };
    format!("{}{other}{}", &value[..at], &value[at + 1..])
}

fn one_later(time: &str) -> String {
    (time.parse::<i64>().expect("unix seconds") + 1).to_string()
}
