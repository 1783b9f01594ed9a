//! Verifies a request in stages: the request itself, its time, its signature, its id, its body.
//!
//! The time comes before the signature where it is in a header, because it is part of what is signed, and after it where it
//! is in the body, which is not read before it is known to be genuine.

use std::fmt;

use serde_json::Value;

use crate::arriving::Arriving;
use crate::handshake;
use crate::scheme::{Coded, Scheme, Signature};
pub(crate) use request::Request;

mod advice;
pub(crate) mod coded;
pub(crate) mod key;
pub(crate) mod mac;
mod request;
mod signature;
mod timestamp;
mod token;

/// The part of a request that was refused, or that a step is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    Request,
    Timestamp,
    Signature,
    Id,
    Body,
}

/// Why a request was refused. Neither text has a secret, a signature or a part of the body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denied {
    pub stage: Stage,
    pub reason: String,
    pub detail: Option<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// To be answered with this, and nothing else is to be done.
    Handshake(Reply),
    Accepted(Accepted),
}

/// To be sent with `X-Content-Type-Options: nosniff`, because the body is what somebody sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    pub status: u16,
    pub content_type: &'static str,
    pub body: String,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Accepted {
    /// With `each`, only if it is in a header: see [`Scheme::id_of`].
    pub id: Option<String>,
    /// With `each`, only if it is in a header: see [`Scheme::type_of`].
    pub external_type: Option<String>,
    /// When the request was signed, in milliseconds since 1970.
    pub timestamp: Option<i64>,
    /// What [`payload`] returns, if the body had to be read.
    pub payload: Option<Value>,
    pub steps: Vec<Step>,
}

/// What was found at a stage, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    pub stage: Stage,
    pub says: String,
}

/// More are never valid at a time.
const MAX_SECRETS: usize = 16;

/// Verifies a request at the time `now_ms`, in milliseconds since 1970. `secrets` are the texts that a user gave, the newest
/// first; one that fits is enough.
pub fn verify(scheme: &Scheme, secrets: &[Vec<u8>], arriving: &Arriving<'_>, now_ms: i64) -> Result<Verdict, Denied> {
    let mut steps = Vec::new();
    let verdict = judge(scheme, secrets, arriving, now_ms, &mut steps);
    verdict.map(|verdict| match verdict {
        Verdict::Accepted(accepted) => Verdict::Accepted(Accepted { steps, ..accepted }),
        Verdict::Handshake(reply) => Verdict::Handshake(reply),
    })
}

/// What was found at each stage until the verdict.
#[derive(Clone, Debug, PartialEq)]
pub struct Explained {
    pub steps: Vec<Step>,
    pub verdict: Result<Verdict, Denied>,
    /// What to change, if the request was refused because of a usual mistake. As a [`Denied`], it is not for the sender.
    pub advice: Option<String>,
}

/// Verifies a request as [`verify`] does, and says more about it. For a request that arrived earlier, `now_ms` is the time at
/// which it did.
pub fn explain(scheme: &Scheme, secrets: &[Vec<u8>], arriving: &Arriving<'_>, now_ms: i64) -> Explained {
    let mut steps = Vec::new();
    let verdict = judge(scheme, secrets, arriving, now_ms, &mut steps);
    let refused_at = verdict.as_ref().err().map(|denied| denied.stage);
    let advice = refused_at.and_then(|stage| advice::find(scheme, secrets, arriving, stage));
    Explained { steps, verdict, advice }
}

fn judge(
    scheme: &Scheme,
    secrets: &[Vec<u8>],
    arriving: &Arriving<'_>,
    now_ms: i64,
    steps: &mut Vec<Step>,
) -> Result<Verdict, Denied> {
    let secrets = &secrets[..secrets.len().min(MAX_SECRETS)];
    if let Some(reply) = handshake::unsigned(scheme, secrets, arriving)? {
        return Ok(Verdict::Handshake(reply));
    }
    let mut request = Request::new(scheme, arriving);
    steps.push(request.may_come(secrets)?);
    let proof = prove(&mut request, secrets, now_ms, steps)?;
    if let Some(reply) = handshake::signed(&mut request, proof.secret)? {
        return Ok(Verdict::Handshake(reply));
    }
    let id = request.named(&scheme.id, Stage::Id)?;
    steps.push(Step { stage: Stage::Id, says: said("id", id.as_deref()) });
    let external_type = request.named(&scheme.external_type, Stage::Body)?;
    steps.push(Step { stage: Stage::Body, says: said("type", external_type.as_deref()) });
    let payload = request.payload;
    Ok(Verdict::Accepted(Accepted { id, external_type, timestamp: proof.timestamp, payload, steps: Vec::new() }))
}

fn said(what: &str, value: Option<&str>) -> String {
    value.map_or_else(|| format!("the request as a whole has no {what}"), |value| format!("the {what} is {value}"))
}

/// What a request has proved, and with which secret.
struct Proof<'a> {
    timestamp: Option<i64>,
    secret: Option<&'a [u8]>,
}

fn prove<'a>(
    request: &mut Request<'_>,
    secrets: &'a [Vec<u8>],
    now_ms: i64,
    steps: &mut Vec<Step>,
) -> Result<Proof<'a>, Denied> {
    let scheme = request.scheme;
    let mut proof = Proof { timestamp: None, secret: None };
    match &scheme.signature {
        Some(Signature::Declared(declared)) => {
            let header = signature::Header::read(declared, request.arriving)?;
            let written = timestamp::written(scheme, &header, request.arriving)?;
            proof.timestamp = timestamp::in_window(scheme, written, now_ms, steps)?;
            let signed = mac::Signed { timestamp: written, id: request.signed_id(declared)? };
            proof.secret = Some(mac::verify(request, declared, &header, signed, secrets, steps)?);
            if let Some(path) = timestamp::path(scheme) {
                let written = timestamp::in_body(path, request.payload()?)?;
                proof.timestamp = timestamp::in_window(scheme, Some(&written), now_ms, steps)?;
            }
        }
        Some(Signature::Coded(Coded::Twilio)) => {
            proof.secret = Some(coded::twilio(request.arriving, secrets, steps)?);
        }
        Some(Signature::Coded(Coded::Mailgun)) => {
            let (timestamp, secret) = coded::mailgun(request, secrets, now_ms, steps)?;
            proof = Proof { timestamp: Some(timestamp), secret: Some(secret) };
        }
        None => token::verify(request, secrets, steps)?,
    }
    Ok(proof)
}

impl Denied {
    pub(crate) fn new(stage: Stage, reason: impl Into<String>) -> Denied {
        Denied { stage, reason: reason.into(), detail: None }
    }

    pub(crate) fn detail(self, detail: impl Into<String>) -> Denied {
        Denied { detail: Some(detail.into()), ..self }
    }
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.stage, self.reason)
    }
}

impl std::error::Error for Denied {}

impl Stage {
    pub fn as_str(self) -> &'static str {
        match self {
            Stage::Request => "request",
            Stage::Timestamp => "timestamp",
            Stage::Signature => "signature",
            Stage::Id => "id",
            Stage::Body => "body",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
