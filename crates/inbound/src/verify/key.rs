//! Makes keys of secrets.

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use p256::ecdsa::VerifyingKey;
use p256::pkcs8::DecodePublicKey;

use crate::scheme::{Algorithm, Declared, Handshake, KeyForm, Scheme};

/// People lose the padding when they copy a key.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

pub enum Key {
    Shared(Vec<u8>),
    Public(Box<VerifyingKey>),
}

/// A secret has not the form that its scheme needs.
#[derive(Debug, PartialEq, Eq)]
pub struct Unusable {
    pub form: &'static str,
}

pub fn of(declared: &Declared, secret: &[u8]) -> Result<Key, Unusable> {
    let prefix = declared.key_prefix.as_deref().unwrap_or_default();
    let text = secret.strip_prefix(prefix.as_bytes()).unwrap_or(secret);
    let (bytes, form) = match declared.key {
        KeyForm::Text => (Some(text.to_vec()), "not empty"),
        KeyForm::Base64 => (BASE64.decode(text).ok(), "base64"),
        KeyForm::Hex => (hex::decode(text).ok(), "hexadecimal digits"),
    };
    let bytes = bytes.filter(|bytes| !bytes.is_empty()).ok_or(Unusable { form })?;
    if declared.algorithm != Algorithm::EcdsaP256Sha256 {
        return Ok(Key::Shared(bytes));
    }
    let key = VerifyingKey::from_public_key_der(&bytes);
    key.map(|key| Key::Public(Box::new(key)))
        .map_err(|_| Unusable { form: "a public key on the curve P-256 as base64" })
}

/// Returns what signs: where a secret has a verify token, the text before it.
pub fn signing_part<'a>(scheme: &Scheme, secret: &'a [u8]) -> &'a [u8] {
    match verify_token(secret) {
        Some(token) if scheme.handshake == Some(Handshake::Meta) => &secret[..secret.len() - token.len() - 1],
        _ => secret,
    }
}

/// Returns the token of a secret of the form `KEY:TOKEN`.
pub fn verify_token(secret: &[u8]) -> Option<&[u8]> {
    let colon = secret.iter().position(|byte| *byte == b':')?;
    Some(&secret[colon + 1..]).filter(|token| !token.is_empty() && colon > 0)
}
