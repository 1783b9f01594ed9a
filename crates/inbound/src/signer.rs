//! Signs requests as providers do. For tests only.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use p256::ecdsa::signature::Signer;
use p256::ecdsa::{Signature as EcdsaSignature, SigningKey};
use p256::pkcs8::EncodePublicKey;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::arriving::Arriving;
use crate::scheme::{Algorithm, Coded, Declared, Encoding, Scheme, Signature, Source, TimeFormat};
use crate::verify::{coded, key, mac};

/// A request that can be changed.
#[derive(Clone, Debug, PartialEq)]
pub struct Draft {
    pub method: String,
    pub url: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Draft {
    pub fn json(url: &str, body: &str) -> Draft {
        let headers = vec![("Content-Type".to_owned(), "application/json".to_owned())];
        Draft { method: "POST".to_owned(), url: url.to_owned(), headers, body: body.as_bytes().to_vec() }
    }

    pub fn form(url: &str, body: &str) -> Draft {
        let mut draft = Draft::json(url, body);
        draft.headers[0].1 = "application/x-www-form-urlencoded".to_owned();
        draft
    }

    pub fn arriving(&self) -> Arriving<'_> {
        let query = self.url.split_once('?').map_or("", |(_, query)| query);
        Arriving { method: &self.method, url: &self.url, headers: &self.headers, query, body: &self.body }
    }

    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Draft {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn header(&mut self, name: &str) -> Option<&mut String> {
        self.headers.iter_mut().find(|(given, _)| given.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

/// What a provider signs with, and the secret that its customer gets: the same text, or a private key (32 bytes) and a text
/// with the public one.
#[derive(Clone, Debug)]
pub struct Pair {
    pub signing: Vec<u8>,
    pub secret: Vec<u8>,
}

impl Pair {
    pub fn shared(text: &str) -> Pair {
        Pair { signing: text.as_bytes().to_vec(), secret: text.as_bytes().to_vec() }
    }

    pub fn of_private_key(private: [u8; 32]) -> Pair {
        let der = signing_key(&private).verifying_key().to_public_key_der().expect("it can be encoded");
        Pair { signing: private.to_vec(), secret: STANDARD.encode(der.as_bytes()).into_bytes() }
    }
}

fn signing_key(private: &[u8]) -> SigningKey {
    SigningKey::from_slice(private).expect("a private key")
}

/// Signs a request with all keys, as during a rotation. A time in the body has to be there already.
#[must_use]
pub fn sign(scheme: &Scheme, keys: &[Vec<u8>], mut draft: Draft, id: &str, at_ms: i64) -> Draft {
    match &scheme.signature {
        Some(Signature::Declared(declared)) => return declare(scheme, declared, keys, draft, id, at_ms),
        Some(Signature::Coded(Coded::Twilio)) => {
            let signature = STANDARD.encode(coded::twilio_digest(&draft.arriving(), &draft.url, &keys[0]));
            draft = draft.with("X-Twilio-Signature", &signature);
        }
        Some(Signature::Coded(Coded::Mailgun)) => {
            let mut body: Value = serde_json::from_slice(&draft.body).expect("JSON");
            let timestamp = (at_ms / 1000).to_string();
            let signature = hex::encode(mac::hmac_sha256(&keys[0], &[timestamp.as_bytes(), id.as_bytes()]));
            body["signature"] = json!({"timestamp": timestamp, "token": id, "signature": signature});
            draft.body = body.to_string().into_bytes();
        }
        None => {
            if let Some(Source::Header(name)) = &scheme.token {
                draft = draft.with(name.as_str(), str::from_utf8(&keys[0]).expect("text"));
            }
        }
    }
    with_id(scheme, draft, id)
}

fn with_id(scheme: &Scheme, draft: Draft, id: &str) -> Draft {
    match scheme.id.first() {
        Some(Source::Header(name)) => draft.with(name.as_str(), id),
        _ => draft,
    }
}

fn declare(scheme: &Scheme, declared: &Declared, keys: &[Vec<u8>], draft: Draft, id: &str, at_ms: i64) -> Draft {
    let timestamp = scheme.timestamp.as_ref();
    let at = timestamp.map_or_else(String::new, |timestamp| written(at_ms, timestamp.format));
    let signed = mac::Signed { timestamp: Some(&at), id: Some(id) };
    let bytes = mac::bytes(declared, &draft.arriving(), signed).concat();
    let sign = |key: &Vec<u8>| encoded(declared, signature(declared, key::signing_part(scheme, key), &bytes));
    let value = match &declared.parts {
        Some(parts) => {
            let part = |name: &String, value: &str| format!("{name}{}{value}", parts.assign);
            let time = timestamp.and_then(|timestamp| timestamp.part.as_ref()).map(|name| part(name, &at));
            let signatures = keys.iter().map(|key| part(&parts.name, &sign(key)));
            time.into_iter().chain(signatures).collect::<Vec<_>>().join(&parts.separator)
        }
        None => format!("{}{}", declared.prefix.as_deref().unwrap_or_default(), sign(&keys[0])),
    };
    let draft = with_id(scheme, draft, id).with(declared.header.as_str(), &value);
    match timestamp.and_then(|timestamp| timestamp.header.as_ref()) {
        Some(name) => draft.with(name.as_str(), &at),
        None => draft,
    }
}

fn signature(declared: &Declared, key: &[u8], bytes: &[u8]) -> Vec<u8> {
    if declared.algorithm == Algorithm::EcdsaP256Sha256 {
        let signature: EcdsaSignature = signing_key(key).sign(bytes);
        return signature.to_der().as_bytes().to_vec();
    }
    match key::of(declared, key) {
        Ok(key::Key::Shared(key)) => mac::hmac(declared.algorithm, &key, &[bytes]).expect("it is an HMAC"),
        _ => panic!("a key of another form"),
    }
}

fn encoded(declared: &Declared, signature: Vec<u8>) -> String {
    match declared.encoding {
        Encoding::Hex => hex::encode(signature),
        Encoding::Base64 => STANDARD.encode(signature),
    }
}

/// A time as a provider writes it.
pub fn written(at_ms: i64, format: TimeFormat) -> String {
    match format {
        TimeFormat::S => (at_ms / 1000).to_string(),
        TimeFormat::Ms => at_ms.to_string(),
        TimeFormat::Rfc3339 => {
            let time = OffsetDateTime::from_unix_timestamp(at_ms / 1000).expect("a time");
            time.format(&Rfc3339).expect("it can be written")
        }
    }
}
