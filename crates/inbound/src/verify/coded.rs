//! The two providers whose signatures no declaration describes.
//!
//! Twilio signs the URL, and after it the fields of the form, sorted by name. A body that is no form is signed through its
//! SHA-256, which is in the query of the URL. A header names the algorithm if it is not SHA-1. Mailgun signs a time and a
//! random token that are in the body, and not the rest of the body.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::mac::{any_equals, hmac, hmac_sha256, mismatch, signed_with};
use super::request::{Request, required};
use super::timestamp::near;
use super::{Denied, Stage, Step};
use crate::arriving::Arriving;
use crate::form;
use crate::path::Path;
use crate::scheme::{Algorithm, TimeFormat, default_tolerance};

const TWILIO_HEADER: &str = "X-Twilio-Signature";
const TWILIO_SETTINGS: &str = "X-Twilio-Webhooks-Signature-Settings";

pub fn twilio<'a>(arriving: &Arriving<'_>, secrets: &'a [Vec<u8>], steps: &mut Vec<Step>) -> Result<&'a [u8], Denied> {
    let header = required(arriving, TWILIO_HEADER, Stage::Signature)?;
    let unreadable = || Denied::new(Stage::Signature, format!("the header {TWILIO_HEADER} has no base64"));
    let signatures = [STANDARD.decode(header).map_err(|_| unreadable())?];
    let algorithm = twilio_algorithm(arriving)?;
    let fields = signed_fields(arriving)?;
    let urls = urls(arriving.url);
    let signs = |secret: &[u8], url: &String| {
        let expected = hmac(algorithm, secret, &with_fields(url, &fields));
        expected.is_some_and(|expected| any_equals(&expected, &signatures))
    };
    for (number, secret) in (1..).zip(secrets) {
        if !secret.is_empty() && urls.iter().any(|url| signs(secret, url)) {
            steps.push(signed_with(number, secrets.len()));
            return Ok(secret);
        }
    }
    Err(mismatch(1, secrets.len()))
}

fn with_fields<'a>(url: &'a str, fields: &'a [Vec<u8>]) -> Vec<&'a [u8]> {
    std::iter::once(url.as_bytes()).chain(fields.iter().map(Vec::as_slice)).collect()
}

/// Returns the signature of a request, for tests.
#[cfg(any(test, feature = "signer"))]
pub fn twilio_digest(arriving: &Arriving<'_>, url: &str, secret: &[u8]) -> Vec<u8> {
    let fields = signed_fields(arriving).expect("it can be signed");
    let algorithm = twilio_algorithm(arriving).expect("it is known");
    hmac(algorithm, secret, &with_fields(url, &fields)).expect("it is an HMAC")
}

/// Returns the algorithm that the settings name, as in `key=webhooks_sharedkey_1,algorithm=HMAC_SHA256`.
fn twilio_algorithm(arriving: &Arriving<'_>) -> Result<Algorithm, Denied> {
    let once = |_| Denied::new(Stage::Signature, format!("the header {TWILIO_SETTINGS} comes more than once"));
    let settings = arriving.header(TWILIO_SETTINGS).map_err(once)?.unwrap_or_default();
    let named = settings.split(',').filter_map(|setting| setting.split_once('='));
    match named.map(|(name, value)| (name.trim(), value.trim())).find(|(name, _)| *name == "algorithm") {
        None | Some((_, "" | "HMAC_SHA1")) => Ok(Algorithm::HmacSha1),
        Some((_, "HMAC_SHA256")) => Ok(Algorithm::HmacSha256),
        Some(_) => Err(Denied::new(Stage::Signature, "the algorithm of the signature is not known")),
    }
}

/// Returns the names and values of the form as they are signed: sorted, and each pair once. Whatever is not signed in this
/// way has to be signed by its hash.
fn signed_fields(arriving: &Arriving<'_>) -> Result<Vec<Vec<u8>>, Denied> {
    let hash = form::parameter(arriving.query, "bodySHA256");
    if let Some(hash) = &hash {
        let actual = hex::encode(Sha256::digest(arriving.body));
        if !bool::from(hash.to_ascii_lowercase().ct_eq(actual.as_bytes())) {
            return Err(Denied::new(Stage::Signature, "the body has not the hash that the URL states"));
        }
    }
    if arriving.has_form() {
        let too_many = || Denied::new(Stage::Body, "the form has too many fields");
        let mut fields = form::fields(arriving.body).ok_or_else(too_many)?;
        fields.sort();
        fields.dedup();
        return Ok(fields.into_iter().flat_map(|(name, value)| [name, value]).collect());
    }
    if hash.is_none() && !arriving.body.is_empty() {
        return Err(Denied::new(Stage::Signature, "the body is no form, and the URL has no bodySHA256"));
    }
    Ok(Vec::new())
}

/// Returns the URL without and with its port: Twilio may sign either if the port is that of the scheme.
fn urls(url: &str) -> Vec<String> {
    let (scheme, port) = if url.starts_with("https://") { ("https://", ":443") } else { ("http://", ":80") };
    let mut urls = vec![url.to_owned()];
    let Some(rest) = url.strip_prefix(scheme) else {
        return urls;
    };
    let (authority, rest) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    if let Some(host) = authority.strip_suffix(port) {
        urls.push(format!("{scheme}{host}{rest}"));
    } else if !authority.rsplit_once(':').is_some_and(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit())) {
        urls.push(format!("{scheme}{authority}{port}{rest}"));
    }
    urls
}

pub fn mailgun<'a>(
    request: &mut Request<'_>,
    secrets: &'a [Vec<u8>],
    now_ms: i64,
    steps: &mut Vec<Step>,
) -> Result<(i64, &'a [u8]), Denied> {
    let payload = request.payload()?;
    // Events are JSON; routed messages are forms.
    let object = payload.get("signature").filter(|value| value.is_object()).unwrap_or(payload);
    let field = |name: &str| {
        let missing = || Denied::new(Stage::Signature, format!("the body has no {name} of a signature"));
        Path::parse(&format!("$.{name}")).ok().and_then(|path| path.text(object)).ok_or_else(missing)
    };
    let (timestamp, token, signature) = (field("timestamp")?, field("token")?, field("signature")?);
    let at = near(&timestamp, TimeFormat::S, default_tolerance(), now_ms, steps)?;
    let unreadable = |_| Denied::new(Stage::Signature, "the signature in the body is not hexadecimal");
    let signatures = [hex::decode(signature).map_err(unreadable)?];
    let fits = |secret: &&Vec<u8>| {
        !secret.is_empty() && any_equals(&hmac_sha256(secret, &[timestamp.as_bytes(), token.as_bytes()]), &signatures)
    };
    let secret = secrets.iter().find(fits).ok_or_else(|| mismatch(1, secrets.len()))?;
    let says = "its time and token were signed; the rest of the body was not".to_owned();
    steps.push(Step { stage: Stage::Signature, says });
    Ok((at, secret))
}
