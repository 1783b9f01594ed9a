//! Encrypts (*seals*) and decrypts (*opens*) secrets that are stored in the database: signing secrets, values of headers,
//! secrets and URLs of inbound adapters. The key is in a file outside the database, so that a dump, the disk of a replica
//! or a user who reads the table does not reveal them.
//!
//! A sealed secret is `sealed:<key>:<base64>`: the first bytes of the SHA-256 of the key, then nonce and ciphertext of
//! XChaCha20-Poly1305. It is bound to its [`Place`]: it cannot be opened in the row of another subscription, or as
//! another header. Without a key file secrets are stored as they are.
//!
//! A key file has a key in each line, 64 hexadecimal digits. The first key seals, and all keys open. To change the key,
//! put a new one before the first line, seal all secrets again, and remove the old one.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{Key, KeyInit, XChaCha20Poly1305, XNonce};
use rand::CryptoRng;
use sha2::{Digest, Sha256};

use crate::ids::SubscriptionId;
use crate::refusal::Refusal;

pub(crate) const PREFIX: &str = "sealed:";
const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 24;
const ID_BYTES: usize = 8;

/// What a sealed text is.
#[derive(Clone, Copy)]
pub enum Place<'a> {
    /// A signing secret of this subscription.
    Secret(SubscriptionId),
    /// The value of the header of this name of this subscription.
    Header(SubscriptionId, &'a str),
    /// A secret of this inbound adapter.
    InboundSecret(i64),
    /// The secret part of the URL of this inbound adapter.
    InboundPath(i64),
    /// The secret of which tags and reply addresses of mail are made.
    Mail,
}

impl Place<'_> {
    fn to_bytes(self) -> Vec<u8> {
        match self {
            Self::Secret(subscription) => subscription.0.to_be_bytes().to_vec(),
            Self::Header(subscription, name) => [&subscription.0.to_be_bytes(), name.as_bytes()].concat(),
            // No subscription has a number that begins like these.
            Self::InboundSecret(adapter) => [b"inbound secret ", &adapter.to_be_bytes()[..]].concat(),
            Self::InboundPath(adapter) => [b"inbound path ", &adapter.to_be_bytes()[..]].concat(),
            Self::Mail => b"mail".to_vec(),
        }
    }
}

impl From<SubscriptionId> for Place<'_> {
    fn from(subscription: SubscriptionId) -> Self {
        Self::Secret(subscription)
    }
}

/// The keys of a key file, in the order of its lines. If there is no key, secrets are stored as they are.
#[derive(Default)]
pub struct Keys(Vec<SealingKey>);

struct SealingKey {
    id: String,
    cipher: XChaCha20Poly1305,
}

/// Why a stored secret cannot be read.
#[derive(Debug, PartialEq, Eq)]
pub enum Unreadable {
    /// The secret was sealed with the key that has this id, and that key is not in the key file.
    KeyMissing(String),
    /// The stored value was changed, or belongs to another place.
    Damaged,
}

impl Keys {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Reads the text of a key file. Empty lines, and lines that begin with `#`, are skipped.
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        let not_a_key = |line: usize| Refusal::new(format!("line {line} is not a key"));
        let lines = text.lines().map(str::trim).enumerate();
        let keys = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
        let parse = |(index, line): (usize, &str)| SealingKey::parse(line).ok_or_else(|| not_a_key(index + 1));
        let keys: Vec<_> = keys.map(parse).collect::<Result<_, _>>()?;
        if keys.is_empty() { Err(not_a_key(1)) } else { Ok(Self(keys)) }
    }

    /// Returns the form in which a secret is to be stored.
    pub fn seal<'a>(&self, secret: &str, place: impl Into<Place<'a>>, rng: &mut impl CryptoRng) -> String {
        let Some(key) = self.0.first() else { return secret.to_owned() };
        let mut nonce = [0; NONCE_BYTES];
        rng.fill_bytes(&mut nonce);
        let bound_to = place.into().to_bytes();
        let payload = Payload { msg: secret.as_bytes(), aad: &bound_to };
        let sealed = key.cipher.encrypt(&XNonce::from(nonce), payload).expect("a secret is short");
        format!("{PREFIX}{}:{}", key.id, STANDARD.encode([&nonce[..], &sealed].concat()))
    }

    /// Returns a secret, given the form in which it is stored.
    pub fn open<'a>(&self, stored: &str, place: impl Into<Place<'a>>) -> Result<String, Unreadable> {
        let Some(sealed) = stored.strip_prefix(PREFIX) else { return Ok(stored.to_owned()) };
        let (id, sealed) = sealed.split_once(':').ok_or(Unreadable::Damaged)?;
        let key = self.0.iter().find(|key| key.id == id).ok_or_else(|| Unreadable::KeyMissing(id.to_owned()))?;
        let sealed = STANDARD.decode(sealed).map_err(|_| Unreadable::Damaged)?;
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE_BYTES>().ok_or(Unreadable::Damaged)?;
        let payload = Payload { msg: sealed, aad: &place.into().to_bytes() };
        let secret = key.cipher.decrypt(&XNonce::from(*nonce), payload).map_err(|_| Unreadable::Damaged)?;
        String::from_utf8(secret).map_err(|_| Unreadable::Damaged)
    }
}

impl SealingKey {
    fn parse(line: &str) -> Option<Self> {
        let key: [u8; KEY_BYTES] = hex::decode(line).ok()?.try_into().ok()?;
        let id = hex::encode(&Sha256::digest(key)[..ID_BYTES]);
        Some(Self { id, cipher: XChaCha20Poly1305::new(&Key::from(key)) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEVEN: SubscriptionId = SubscriptionId(7);
    const SECRET: &str = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

    fn keys(digits: &str) -> Keys {
        let lines: Vec<String> = digits.chars().map(|digit| digit.to_string().repeat(2 * KEY_BYTES)).collect();
        Keys::parse(&lines.join("\n")).expect("keys")
    }

    fn sealed(digits: &str, subscription: SubscriptionId) -> String {
        keys(digits).seal(SECRET, subscription, &mut rand::rng())
    }

    #[test]
    fn a_sealed_secret_opens_with_its_key_and_reveals_nothing() {
        let stored = sealed("1", SEVEN);
        assert!(stored.starts_with("sealed:") && !stored.contains("whsec_"), "{stored}");
        assert_eq!(keys("1").open(&stored, SEVEN).as_deref(), Ok(SECRET));
        assert_ne!(stored, sealed("1", SEVEN), "a nonce is used only once");
    }

    #[test]
    fn a_sealed_secret_of_another_subscription_or_a_changed_one_does_not_open() {
        let stored = sealed("1", SEVEN);
        assert_eq!(keys("1").open(&stored, SubscriptionId(8)), Err(Unreadable::Damaged));
        for place in "sealed:0123456789abcdef:".len()..stored.len() {
            let mut bytes = stored.clone().into_bytes();
            bytes[place] = if bytes[place] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(bytes).expect("ASCII");
            assert_eq!(keys("1").open(&changed, SEVEN), Err(Unreadable::Damaged), "{changed}");
        }
        assert_eq!(keys("1").open(&stored[..40], SEVEN), Err(Unreadable::Damaged));
    }

    #[test]
    fn a_sealed_header_opens_only_as_itself() {
        let keys = keys("1");
        let stored = keys.seal("Bearer abc", Place::Header(SEVEN, "Authorization"), &mut rand::rng());
        assert_eq!(keys.open(&stored, Place::Header(SEVEN, "Authorization")).as_deref(), Ok("Bearer abc"));
        let others = [Place::Header(SEVEN, "X-Echo"), Place::Header(SubscriptionId(8), "Authorization"), SEVEN.into()];
        assert!(others.into_iter().all(|place| keys.open(&stored, place) == Err(Unreadable::Damaged)));
    }

    #[test]
    fn a_sealed_secret_of_an_inbound_adapter_opens_only_as_itself() {
        let keys = keys("1");
        let stored = keys.seal("its secret", Place::InboundSecret(7), &mut rand::rng());
        assert_eq!(keys.open(&stored, Place::InboundSecret(7)).as_deref(), Ok("its secret"));
        let others = [Place::InboundSecret(8), Place::InboundPath(7), SEVEN.into()];
        assert!(others.into_iter().all(|place| keys.open(&stored, place) == Err(Unreadable::Damaged)));
    }

    #[test]
    fn a_secret_without_its_key_says_which_key_is_missing() {
        let Err(Unreadable::KeyMissing(id)) = keys("2").open(&sealed("1", SEVEN), SEVEN) else { panic!("it opened") };
        assert_eq!(id, keys("1").0[0].id);
        assert!(matches!(Keys::default().open(&sealed("1", SEVEN), SEVEN), Err(Unreadable::KeyMissing(_))));
    }

    #[test]
    fn the_first_key_seals_and_every_key_opens() {
        let changing = keys("21");
        assert_eq!(changing.open(&sealed("1", SEVEN), SEVEN).as_deref(), Ok(SECRET));
        let stored = changing.seal(SECRET, SEVEN, &mut rand::rng());
        assert_eq!(keys("2").open(&stored, SEVEN).as_deref(), Ok(SECRET));
    }

    #[test]
    fn without_keys_secrets_are_stored_as_they_are_and_such_secrets_always_open() {
        assert_eq!(Keys::default().seal(SECRET, SEVEN, &mut rand::rng()), SECRET);
        assert_eq!(keys("1").open(SECRET, SEVEN).as_deref(), Ok(SECRET));
    }

    #[test]
    fn a_file_with_no_key_or_with_anything_else_is_refused_with_the_line() {
        let key = "0".repeat(64);
        assert!(Keys::parse(&format!("# of 2026\n\n  {key}  \n")).is_ok());
        for (text, line) in
            [("", 1), ("# nothing", 1), ("0011", 1), (&format!("{key}\n{key}0"), 2), (&format!("{key}\nkey"), 2)]
        {
            assert_eq!(Keys::parse(text).err(), Some(Refusal::new(format!("line {line} is not a key"))), "{text}");
        }
    }
}
