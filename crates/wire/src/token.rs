//! Tokens that people and programs present to a gateway: API keys, one-time links, sessions, URLs of inbound adapters.
//!
//! A token is a prefix that says what it is, 43 random characters of base62 (256 bits), and six that are the CRC-32 of
//! all before them. With the checksum, a program that searches texts for leaked keys recognizes a key without asking
//! anybody.
//!
//! A gateway passes the SHA-256 of a token, which is called the credential here, and the database stores the SHA-256 of
//! the credential. So neither what a gateway passes nor what a dump contains can be presented to a gateway.

use std::fmt;

use rand::CryptoRng;
use sha2::{Digest, Sha256};

const RANDOM: usize = 43;
const CHECKSUM: usize = 6;
/// How many of the random characters are shown, so that people can distinguish tokens.
const SHOWN: usize = 6;
const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    ApiKey,
    Link,
    Session,
    /// The secret part of the URL of an inbound adapter.
    Inbound,
}

impl Kind {
    pub fn prefix(self) -> &'static str {
        match self {
            Self::ApiKey => "hyk_",
            Self::Link => "hyl_",
            Self::Session => "hys_",
            Self::Inbound => "hyi_",
        }
    }
}

/// A token. It has no `Display`, and `Debug` hides it, so that it is never printed by accident.
pub struct Token(String);

impl Token {
    pub fn random(kind: Kind, rng: &mut impl CryptoRng) -> Self {
        let mut text = String::from(kind.prefix());
        text.extend((0..RANDOM).map(|_| random_digit(rng)));
        let checksum = checksum(&text);
        Self(text + &checksum)
    }

    /// Returns the text, for code that returns it to its owner.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Returns the first characters, which may be shown.
    pub fn shown(&self) -> &str {
        &self.0[..4 + SHOWN]
    }

    pub fn credential(&self) -> [u8; 32] {
        sha256(self.0.as_bytes())
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(hidden)")
    }
}

/// Returns whether a text has the form of a token of this kind, with the right checksum. A gateway can refuse other
/// texts without asking the database.
pub fn is_well_formed(kind: Kind, text: &str) -> bool {
    let Some(rest) = text.strip_prefix(kind.prefix()) else { return false };
    rest.len() == RANDOM + CHECKSUM
        && rest.bytes().all(|byte| byte.is_ascii_alphanumeric())
        && text[text.len() - CHECKSUM..] == checksum(&text[..text.len() - CHECKSUM])
}

/// Returns what the database stores for a credential.
pub fn stored(credential: &[u8]) -> [u8; 32] {
    sha256(credential)
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

fn random_digit(rng: &mut impl CryptoRng) -> char {
    // The largest multiple of 62 that fits into a byte: larger values would make the first digits more frequent.
    const FAIR: u8 = 248;
    let mut byte = [u8::MAX];
    while byte[0] >= FAIR {
        rng.fill_bytes(&mut byte);
    }
    char::from(BASE62[usize::from(byte[0] % 62)])
}

fn checksum(text: &str) -> String {
    let mut rest = crc32(text.as_bytes());
    let mut digits = [0; CHECKSUM];
    for digit in digits.iter_mut().rev() {
        *digit = BASE62[(rest % 62) as usize];
        rest /= 62;
    }
    digits.into_iter().map(char::from).collect()
}

/// The CRC-32 of zip and of Ethernet.
fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| if crc & 1 == 0 { crc >> 1 } else { crc >> 1 ^ 0xedb8_8320 };
    !bytes.iter().fold(u32::MAX, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), step))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn a_key_has_the_form_that_scanners_look_for() {
        let key = Token::random(Kind::ApiKey, &mut rand::rng());
        let text = key.expose();
        assert_eq!(text.len(), 4 + 43 + 6);
        assert!(text.starts_with("hyk_") && text[4..].bytes().all(|byte| byte.is_ascii_alphanumeric()), "{text}");
        assert!(is_well_formed(Kind::ApiKey, text));
        assert_eq!(key.shown(), &text[..10]);
    }

    /// From the catalogue of parametrised CRC algorithms.
    #[test]
    fn the_checksum_is_the_crc_32_of_zip() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        assert_eq!(crc32(b""), 0);
    }

    #[test]
    fn a_key_with_any_other_character_is_not_well_formed() {
        let key = Token::random(Kind::ApiKey, &mut rand::rng());
        for place in 0..key.expose().len() {
            let mut changed = key.expose().to_owned().into_bytes();
            changed[place] = if changed[place] == b'x' { b'y' } else { b'x' };
            let changed = String::from_utf8(changed).unwrap();
            assert!(!is_well_formed(Kind::ApiKey, &changed), "{changed}");
        }
        assert!(!is_well_formed(Kind::Session, key.expose()));
        assert!(!is_well_formed(Kind::ApiKey, &key.expose()[..52]));
        assert!(!is_well_formed(Kind::ApiKey, "hyk_äääääääääääääääääääääääääääääääääääääääääääääääää"));
    }

    #[test]
    fn no_two_keys_are_the_same_and_every_digit_occurs() {
        let keys: HashSet<String> =
            (0..500).map(|_| Token::random(Kind::ApiKey, &mut rand::rng()).expose().to_owned()).collect();
        assert_eq!(keys.len(), 500);
        let digits: HashSet<char> = keys.iter().flat_map(|key| key[4..47].chars()).collect();
        assert_eq!(digits.len(), 62);
    }

    #[test]
    fn what_is_stored_is_the_hash_of_the_hash_of_the_key() {
        let key = Token::random(Kind::ApiKey, &mut rand::rng());
        assert_eq!(stored(&key.credential()), sha256(&sha256(key.expose().as_bytes())));
    }
}
