//! Verifies declared signatures over the bytes that were received.

use hmac::{Hmac, KeyInit, Mac};
use p256::ecdsa::Signature as EcdsaSignature;
use p256::ecdsa::signature::Verifier;
use sha1::Sha1;
use sha2::{Sha256, Sha512};
use subtle::{Choice, ConstantTimeEq};

use super::key::{self, Key};
use super::request::Request;
use super::signature::Header;
use super::{Denied, Stage, Step};
use crate::arriving::Arriving;
use crate::scheme::{Algorithm, Declared, Piece};

/// The parts of what is signed that are in headers, as they are written.
#[derive(Clone, Copy, Default)]
pub struct Signed<'a> {
    pub timestamp: Option<&'a str>,
    pub id: Option<&'a str>,
}

/// Returns the secret that fits.
pub fn verify<'a>(
    request: &Request<'_>,
    declared: &Declared,
    header: &Header<'_>,
    signed: Signed<'_>,
    secrets: &'a [Vec<u8>],
    steps: &mut Vec<Step>,
) -> Result<&'a [u8], Denied> {
    let signatures = header.signatures()?;
    let bytes = bytes(declared, request.arriving, signed);
    let mut unusable = Vec::new();
    for (number, secret) in (1..).zip(secrets) {
        let secret = key::signing_part(request.scheme, secret);
        match key::of(declared, secret) {
            Ok(key) if fits(declared, &key, &bytes, &signatures) => {
                steps.push(signed_with(number, secrets.len()));
                return Ok(secret);
            }
            Ok(_) => {}
            Err(why) => unusable.push(why),
        }
    }
    match &unusable[..] {
        [key::Unusable { form }, ..] if unusable.len() == secrets.len() => {
            let detail = format!("The secret of this scheme is {form}.");
            Err(Denied::new(Stage::Signature, "the secret of the adapter is no key").detail(detail))
        }
        _ => Err(mismatch(signatures.len(), secrets.len())),
    }
}

pub fn signed_with(number: usize, secrets: usize) -> Step {
    Step { stage: Stage::Signature, says: format!("it was signed with secret {number} of {secrets}") }
}

pub fn mismatch(signatures: usize, secrets: usize) -> Denied {
    let detail = format!("Signatures in the request: {signatures}. Secrets of the adapter: {secrets}.");
    Denied::new(Stage::Signature, "the signature does not fit").detail(detail)
}

pub fn bytes<'a>(declared: &'a Declared, arriving: &Arriving<'a>, signed: Signed<'a>) -> Vec<&'a [u8]> {
    let piece = |piece: &'a Piece| match piece {
        Piece::Literal(text) => text.as_bytes(),
        Piece::Id => signed.id.unwrap_or_default().as_bytes(),
        Piece::Timestamp => signed.timestamp.unwrap_or_default().as_bytes(),
        Piece::Url => arriving.url.as_bytes(),
        Piece::Method => arriving.method.as_bytes(),
        Piece::Body => arriving.body,
    };
    declared.signs.pieces().iter().map(piece).collect()
}

fn fits(declared: &Declared, key: &Key, bytes: &[&[u8]], signatures: &[Vec<u8>]) -> bool {
    match key {
        Key::Shared(key) => {
            hmac(declared.algorithm, key, bytes).is_some_and(|expected| any_equals(&expected, signatures))
        }
        Key::Public(key) => {
            let bytes = bytes.concat();
            let read = |signature: &Vec<u8>| EcdsaSignature::from_der(signature).ok();
            signatures.iter().filter_map(read).any(|signature| key.verify(&bytes, &signature).is_ok())
        }
    }
}

/// The time that this takes depends on lengths and numbers only.
pub fn any_equals(expected: &[u8], given: &[Vec<u8>]) -> bool {
    given.iter().fold(Choice::from(0), |any, given| any | given.ct_eq(expected)).into()
}

/// Returns `None` if the algorithm is no HMAC.
pub fn hmac(algorithm: Algorithm, key: &[u8], bytes: &[&[u8]]) -> Option<Vec<u8>> {
    match algorithm {
        Algorithm::HmacSha256 => Some(hmac_sha256(key, bytes)),
        Algorithm::HmacSha1 => Some(digest::<Hmac<Sha1>>(key, bytes)),
        Algorithm::HmacSha512 => Some(digest::<Hmac<Sha512>>(key, bytes)),
        Algorithm::EcdsaP256Sha256 => None,
    }
}

pub fn hmac_sha256(key: &[u8], bytes: &[&[u8]]) -> Vec<u8> {
    digest::<Hmac<Sha256>>(key, bytes)
}

fn digest<M: Mac + KeyInit>(key: &[u8], bytes: &[&[u8]]) -> Vec<u8> {
    let mut mac = <M as KeyInit>::new_from_slice(key).expect("an HMAC key may have any length");
    for bytes in bytes {
        mac.update(bytes);
    }
    mac.finalize().into_bytes().to_vec()
}
