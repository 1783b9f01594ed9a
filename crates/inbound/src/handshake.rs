//! Answers the requests by which a provider finds out whether a URL belongs to its customer.
//!
//! Meta and Microsoft Graph do not sign these requests. Meta's brings the verify token; Microsoft's proves nothing, so only
//! the secret path of the adapter protects it. Slack and Zoom sign theirs, and they are answered only if the signature fits:
//! Zoom's answer is an HMAC of a text in the request, and would sign anything for anybody.

use crate::arriving::Arriving;
use crate::form;
use crate::scheme::{Handshake, Scheme};
use crate::verify::{Denied, Reply, Request, Stage, key, mac};

/// No challenge is nearly as long.
const MAX_BYTES: usize = 2048;

/// Answers a handshake that is not signed. `None`: it is none.
pub fn unsigned(scheme: &Scheme, secrets: &[Vec<u8>], arriving: &Arriving<'_>) -> Result<Option<Reply>, Denied> {
    match (scheme.handshake, arriving.method) {
        (Some(Handshake::Meta), "GET") => meta(secrets, arriving).map(Some),
        (Some(Handshake::MicrosoftGraph), "POST") => match form::parameter(arriving.query, "validationToken") {
            Some(token) => challenge(&token).map(Some),
            None => Ok(None),
        },
        _ => Ok(None),
    }
}

/// Answers a handshake whose signature fits the secret. `None`: it is none.
pub fn signed(request: &mut Request<'_>, secret: Option<&[u8]>) -> Result<Option<Reply>, Denied> {
    let kind = request.scheme.handshake;
    let (Some(kind @ (Handshake::Slack | Handshake::Zoom)), Some(secret)) = (kind, secret) else {
        return Ok(None);
    };
    let payload = request.payload()?;
    let text = |pointer: &str| payload.pointer(pointer).and_then(|value| value.as_str());
    let no_challenge = || Denied::new(Stage::Body, "the handshake has no challenge");
    match kind {
        Handshake::Slack if text("/type") == Some("url_verification") => {
            challenge(text("/challenge").ok_or_else(no_challenge)?.as_bytes()).map(Some)
        }
        Handshake::Zoom if text("/event") == Some("endpoint.url_validation") => {
            let token =
                text("/payload/plainToken").filter(|token| token.len() <= MAX_BYTES).ok_or_else(no_challenge)?;
            let encrypted = hex::encode(mac::hmac_sha256(secret, &[token.as_bytes()]));
            let body = serde_json::json!({"plainToken": token, "encryptedToken": encrypted}).to_string();
            Ok(Some(Reply { status: 200, content_type: "application/json", body }))
        }
        _ => Ok(None),
    }
}

fn meta(secrets: &[Vec<u8>], arriving: &Arriving<'_>) -> Result<Reply, Denied> {
    let parameter = |name| form::parameter(arriving.query, name);
    if parameter("hub.mode").as_deref() != Some(b"subscribe") {
        return Err(Denied::new(Stage::Request, "the GET is not a handshake of Meta"));
    }
    let given = parameter("hub.verify_token").unwrap_or_default();
    let tokens: Vec<Vec<u8>> =
        secrets.iter().filter_map(|secret| key::verify_token(secret)).map(<[u8]>::to_vec).collect();
    if !mac::any_equals(&given, &tokens) {
        let detail = "The secret of the adapter is APP_SECRET:VERIFY_TOKEN, and this is compared with VERIFY_TOKEN.";
        return Err(Denied::new(Stage::Signature, "the verify token does not fit").detail(detail));
    }
    challenge(&parameter("hub.challenge").unwrap_or_default())
}

fn challenge(text: &[u8]) -> Result<Reply, Denied> {
    match str::from_utf8(text) {
        Ok(text) if (1..=MAX_BYTES).contains(&text.len()) => {
            Ok(Reply { status: 200, content_type: "text/plain; charset=utf-8", body: text.to_owned() })
        }
        _ => Err(Denied::new(Stage::Request, "the challenge of the handshake is empty, too long or no text")),
    }
}
