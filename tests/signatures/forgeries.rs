//! Requests as verifiers see them, and forgeries of them.

use std::collections::BTreeMap;

use hmac::{Hmac, KeyInit, Mac};
use testkit::receiver::Request;

/// What forging a scheme takes: names of headers, and the marks before the values in them.
#[derive(Debug)]
pub struct Scheme {
    pub signature: (&'static str, &'static str),
    pub time: Option<(&'static str, &'static str)>,
    pub id: Option<&'static str>,
    /// The key is the whole secret, `whsec_` included.
    pub whole_secret: bool,
}

pub const HYDRA: Scheme = Scheme {
    signature: ("x-hydra-signature", "v1="),
    time: Some(("x-hydra-signature", "t=")),
    id: None,
    whole_secret: true,
};
pub const X_WEBHOOK: Scheme = Scheme {
    signature: ("x-webhook-signature", "sha256="),
    time: Some(("x-webhook-timestamp", "")),
    id: None,
    whole_secret: true,
};
pub const STANDARD: Scheme = Scheme {
    signature: ("webhook-signature", "v1,"),
    time: Some(("webhook-timestamp", "")),
    id: Some("webhook-id"),
    whole_secret: false,
};
pub const GITHUB: Scheme =
    Scheme { signature: ("x-hub-signature-256", "sha256="), time: None, id: None, whole_secret: true };

/// What a verifier gets.
#[derive(Clone, Debug)]
pub struct Case {
    pub body: String,
    /// With names in lower case, as web frameworks give them.
    pub headers: BTreeMap<String, String>,
    pub secret: String,
}

impl Case {
    pub fn of(request: &Request, secret: &str) -> Case {
        let headers = request.headers.iter().map(|(name, value)| (name.to_ascii_lowercase(), value.clone()));
        let headers: BTreeMap<_, _> = headers.collect();
        assert_eq!(headers.len(), request.headers.len(), "no header comes twice: {:?}", request.headers);
        Case { body: request.text().to_owned(), headers, secret: secret.to_owned() }
    }

    /// Each differs in one thing from what was sent.
    pub fn tampered(&self, scheme: &Scheme) -> Vec<Case> {
        let mut cases = vec![
            Case { body: self.body.replacen("ticket", "Ticket", 1), ..self.clone() },
            Case { body: format!("{} ", self.body), ..self.clone() },
            Case { secret: with_another_character(&self.secret, "whsec_"), ..self.clone() },
        ];
        let (name, mark) = scheme.signature;
        cases.push(self.with_header(name, |value| with_another_character(value, mark)));
        if let Some((name, mark)) = scheme.time {
            cases.push(self.with_header(name, |value| one_second_later(value, mark)));
        }
        if let Some(name) = scheme.id {
            cases.push(self.with_header(name, |value| with_another_character(value, "")));
        }
        // The libraries of Standard Webhooks accept a secret without its prefix.
        if scheme.whole_secret {
            cases.push(Case { secret: self.secret.replacen("whsec_", "", 1), ..self.clone() });
        }
        cases
    }

    /// The same request of the preset `hydra`, signed at this time with the secret of the case.
    pub fn signed_at(&self, time: u64) -> Case {
        let digest = hmac(&self.secret, &format!("{time}.{}", self.body));
        self.with_header("x-hydra-signature", |_| format!("t={time},v1={digest}"))
    }

    pub fn with_header(&self, name: &str, change: impl FnOnce(&str) -> String) -> Case {
        let mut case = self.clone();
        let value = case.headers.get_mut(name).unwrap_or_else(|| panic!("{name} is missing"));
        *value = change(value);
        case
    }
}

/// The HMAC in hexadecimal digits.
pub fn hmac(key: &str, message: &str) -> String {
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(key.as_bytes()).expect("HMAC takes keys of any length");
    mac.update(message.as_bytes());
    hex::encode(mac.finalize().into_bytes())
}

/// Replaces the character after the mark: the first of the value, since some bits of the last character of base64 mean
/// nothing.
fn with_another_character(text: &str, mark: &str) -> String {
    let (before, value) = around(text, mark);
    let other = if value.starts_with('0') { '1' } else { '0' };
    format!("{before}{other}{}", &value[1..])
}

/// So little that only the signature can be refused.
fn one_second_later(text: &str, mark: &str) -> String {
    let (before, value) = around(text, mark);
    let end = value.find(|character: char| !character.is_ascii_digit()).unwrap_or(value.len());
    let (time, after) = value.split_at(end);
    let time: u64 = time.parse().expect("unix seconds");
    format!("{before}{}{after}", time + 1)
}

/// Splits before the value that follows the mark.
fn around<'a>(text: &'a str, mark: &str) -> (&'a str, &'a str) {
    let at = text.find(mark).unwrap_or_else(|| panic!("there is no {mark} in {text}"));
    text.split_at(at + mark.len())
}
