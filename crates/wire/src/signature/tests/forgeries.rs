//! Forgeries as chance makes them: of 10,000 changes to genuine messages, none is accepted that nobody signed.
//!
//! What counts as signed is written down by the signer: this key, time, id and body gave this value. A changed message
//! may be accepted only if its value, what it is about and the reader's key are on that list, and the clock is near
//! its time. Some changes leave them there; those are meant to be accepted, and [`Leave`] names and counts each kind.
//!
//! All of a run follows from its seed, which it prints; `HYDRA_SEED=17 cargo test forgeries` plays it again.

use std::collections::BTreeMap;

use base64::engine::general_purpose::URL_SAFE;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::*;
use crate::secret::PREFIX;

const FORGERIES: usize = 10_000;
const MESSAGES: usize = 60;
const TOLERANCE: u64 = 300;

/// Half of the messages speak what we verify ourselves.
const SCHEMES: [Scheme; 6] =
    [Scheme::Hydra, Scheme::XWebhook, Scheme::Hydra, Scheme::Standard, Scheme::Hydra, Scheme::Github];

const BODIES: [&str; 5] = [
    r#"{"event":"ticket.created","tenant_id":"t1","data":{"entity":{"id": 7}},"timestamp":"2026-04-29T18:33:00Z"}"#,
    r#"{"type":"part.updated","data":{"v1":"t=1614265330,v1=00", "B": 1.50}}"#,
    r#"{"type":"Größe 😀","data":{"entity_error":"over \"256 kB\""}}"#,
    "{}",
    "",
];

/// What a receiver holds when it decides.
#[derive(Clone, PartialEq, Eq)]
struct Message {
    scheme: Scheme,
    id: String,
    /// For the schemes that have it in a header of its own.
    time: String,
    /// The signature.
    header: String,
    body: String,
    secret: String,
    /// The receiver's clock.
    now: u64,
}

/// A line of the signer's list.
struct Entry {
    scheme: Scheme,
    key: Vec<u8>,
    id: String,
    time: String,
    body: String,
    value: String,
}

/// What makes a message differ from all that were sent, and yet say what was signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Leave {
    /// An HMAC key is filled up with zeros, and Postgres has none in a text: `K` and `K\0` are one key.
    ZerosAfterTheKey,
    /// `whsec_` is no part of a Standard Webhooks key.
    NoPrefixOfTheSecret,
    /// Only `standard` signs the id, and `github` no time.
    WhatIsNotSigned,
    /// `2E` is the byte that `2e` is.
    UpperCaseDigits,
    /// Order, unknown parts and further values: a value that fits is there, and the one time.
    PartsBesideTheOneThatFits,
    /// Up to the tolerance.
    AnotherClock,
}

impl Message {
    fn is_accepted(&self) -> bool {
        let secret = secret(&self.secret);
        let says = |value: String| self.header.split(' ').any(|said| said == value);
        match self.scheme {
            Scheme::Hydra => verify(&self.body, &self.header, &secret, Duration::from_secs(TOLERANCE), at(self.now)),
            // As receivers do: compute the same value from what came, and compare.
            Scheme::XWebhook => {
                self.is_in_time() && self.header == digest_alone(&secret, &[&self.time, ".", &self.body])
            }
            Scheme::Standard => self.is_in_time() && says(standard_value(&secret, &self.id, &self.time, &self.body)),
            Scheme::Github => self.header == digest_alone(&secret, &[&self.body]),
        }
    }

    fn is_in_time(&self) -> bool {
        self.time.parse::<u64>().is_ok_and(|time| time.abs_diff(self.now) <= TOLERANCE)
    }

    fn key(&self) -> Vec<u8> {
        key(self.scheme, &self.secret)
    }

    /// Whether it says what this line of the list says.
    fn repeats(&self, entry: &Entry) -> bool {
        let Self { scheme, id, time, body, .. } = self;
        let told = *scheme == entry.scheme && *body == entry.body && self.key() == entry.key;
        told && match scheme {
            Scheme::Hydra => {
                let times: Vec<_> = self.header.split(',').filter_map(|part| part.strip_prefix("t=")).collect();
                let mut digests = self.header.split(',').filter_map(|part| part.strip_prefix("v1="));
                times == [&entry.time]
                    && digests.any(|digest| digest.eq_ignore_ascii_case(&entry.value))
                    && entry.time.parse::<u64>().unwrap().abs_diff(self.now) <= TOLERANCE
            }
            Scheme::XWebhook => *time == entry.time && self.header == entry.value && self.is_in_time(),
            Scheme::Standard => {
                let signed = *id == entry.id && *time == entry.time && self.is_in_time();
                signed && self.header.split(' ').any(|value| value == entry.value)
            }
            Scheme::Github => self.header == entry.value,
        }
    }

    /// Why it differs from what was sent, when it says the same.
    fn leave(&self, sent: &Message) -> Leave {
        let without_prefix = |secret: &str| secret.strip_prefix(PREFIX).unwrap_or(secret).to_owned();
        if self.secret != sent.secret && without_prefix(&self.secret) == without_prefix(&sent.secret) {
            Leave::NoPrefixOfTheSecret
        } else if self.secret != sent.secret {
            Leave::ZerosAfterTheKey
        } else if self.header.eq_ignore_ascii_case(&sent.header) && self.header != sent.header {
            Leave::UpperCaseDigits
        } else if self.header != sent.header {
            Leave::PartsBesideTheOneThatFits
        } else if self.now != sent.now && self.scheme != Scheme::Github {
            Leave::AnotherClock
        } else {
            Leave::WhatIsNotSigned
        }
    }
}

fn key(scheme: Scheme, secret: &str) -> Vec<u8> {
    let mut key = match (scheme, secret.strip_prefix("whsec_").unwrap_or(secret)) {
        (Scheme::Standard, encoded) => STANDARD.decode(encoded).unwrap_or(encoded.into()),
        _ => secret.into(),
    };
    key.truncate(key.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1));
    key
}

/// Signs, and keeps the list.
struct Signer {
    chance: StdRng,
    entries: Vec<Entry>,
}

impl Signer {
    /// With one secret, or with an old one besides; the receiver has either.
    fn message(&mut self, scheme: Scheme) -> Message {
        let id = DeliveryId(self.chance.random());
        let body = pick(&mut self.chance, &BODIES);
        let at = AT + self.chance.random_range(0..10) * 100;
        let secrets: Vec<_> = (0..self.chance.random_range(1..=2)).map(|_| self.secret()).collect();
        let mut values = header_values(scheme, &secrets, Signed { id, at, body });
        let message = Message {
            scheme,
            id: id.to_string(),
            time: at.to_string(),
            header: values.pop().expect("a signature"),
            body: body.to_owned(),
            secret: String::new(),
            now: at,
        };
        // With room for one value, the newest signs alone.
        let signing = if matches!(scheme, Scheme::Hydra | Scheme::Standard) { &secrets[..] } else { &secrets[..1] };
        let said = message.header.split([' ', ',']).filter(|part| !part.starts_with("t=") && *part != "v1");
        for (secret, value) in signing.iter().zip(said) {
            let value = match scheme {
                Scheme::Hydra => value.strip_prefix("v1=").expect("its form").to_owned(),
                Scheme::Standard => format!("v1,{value}"),
                _ => value.to_owned(),
            };
            let key = key(scheme, secret.expose());
            let Message { id, time, body, .. } = message.clone();
            self.entries.push(Entry { scheme, key, id, time, body, value });
        }
        Message { secret: pick(&mut self.chance, signing).expose().to_owned(), ..message }
    }

    /// One of ours, or one that somebody brought along.
    fn secret(&mut self) -> SigningSecret {
        match self.chance.random_range(0..4) {
            0 => secret(&format!("brought {}", self.chance.random::<u32>())),
            _ => SigningSecret::random(&mut self.chance),
        }
    }
}

fn pick<T: Clone>(chance: &mut StdRng, from: &[T]) -> T {
    from[chance.random_range(0..from.len())].clone()
}

/// One to three changes, which make it another message.
fn forge(chance: &mut StdRng, sent: &Message, other: &Message) -> Message {
    loop {
        let mut forged = sent.clone();
        for _ in 0..chance.random_range(1..=3) {
            change(chance, &mut forged, other);
        }
        if forged != *sent {
            return forged;
        }
    }
}

fn change(chance: &mut StdRng, message: &mut Message, other: &Message) {
    let Message { id, time, header, body, secret, now, .. } = message;
    let (text, another) = match chance.random_range(0..17) {
        0 => return *now = now.wrapping_add_signed(chance.random_range(-2..=2) * 150 + chance.random_range(-1..=1)),
        1 => return move_boundary(time, body),
        2 => return secret.push('\0'),
        3 => return *secret = secret.replace(PREFIX, ""),
        4 => (id, &other.id),
        5 => (time, &other.time),
        6..9 => (body, &other.body),
        9 | 10 => (secret, &other.secret),
        _ => (header, &other.header),
    };
    *text = changed(chance, text, another);
}

/// What is signed is joined by dots: the end of one is not to pass for the beginning of the next.
fn move_boundary(first: &mut String, second: &mut String) {
    let joined = format!("{first}.{second}");
    let elsewhere = joined.match_indices('.').map(|(place, _)| place).find(|place| *place != first.len());
    if let Some(place) = elsewhere {
        (*first, *second) = (joined[..place].to_owned(), joined[place + 1..].to_owned());
    }
}

fn changed(chance: &mut StdRng, text: &str, another: &str) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    let place = chance.random_range(0..=chars.len());
    let (head, tail): (String, String) = (chars[..place].iter().collect(), chars[place..].iter().collect());
    match chance.random_range(0..10) {
        // One character.
        0 => return format!("{head}{}{tail}", strange(chance)),
        1 => return head,
        2 => return tail,
        // Two genuine ones.
        3 => return another.to_owned(),
        4 => return head + &another.chars().skip(place).collect::<String>(),
        5 => return changed_parts(chance, text),
        6 | 7 => return recoded(chance, text),
        _ => {}
    }
    let Some(char) = chars.get(place).copied() else { return format!("{text}{text}") };
    match chance.random_range(0..5) {
        0 => chars[place] = char::from_u32(u32::from(char) ^ (1 << chance.random_range(0..7))).unwrap_or(char),
        1 => chars[place] = if char.is_lowercase() { char.to_ascii_uppercase() } else { char.to_ascii_lowercase() },
        2 => chars.insert(place, char),
        3 => chars.swap(0, place),
        _ => drop(chars.remove(place)),
    }
    chars.into_iter().collect()
}

fn strange(chance: &mut StdRng) -> String {
    let all = ["0", "f", "F", "A", "=", ",", ".", " ", "+", "-", "\n", "\r\n", "\t", "\0", "\u{feff}", "é", "\u{301}"];
    pick(chance, &all).to_owned()
}

fn changed_parts(chance: &mut StdRng, text: &str) -> String {
    let separator = pick(chance, &[",", ",", " ", ".", "="]);
    let mut parts: Vec<String> = text.split(separator).map(str::to_owned).collect();
    let place = chance.random_range(0..parts.len());
    let zeros = "0".repeat(64);
    match chance.random_range(0..6) {
        0 => drop(parts.remove(place)),
        1 => parts.insert(0, parts[place].clone()),
        2 => parts.reverse(),
        3 => parts.push(pick(chance, &["v0=00", "v1=", "unknown", "V1=a", "t", "=", "v2,x"]).to_owned()),
        4 => parts.push(format!("v1={zeros}")),
        _ => parts.push(pick(chance, &["t=0", "t=1614265330", "t=", "T=1"]).to_owned()),
    }
    parts.join(separator)
}

/// The same in another writing.
fn recoded(chance: &mut StdRng, text: &str) -> String {
    let digits = |encode: fn(Vec<u8>) -> String| {
        let (rest, last) = text.rsplit_once('=').unwrap_or(("", text));
        format!("{rest}={}", hex::decode(last).map_or(last.to_owned(), encode))
    };
    match chance.random_range(0..10) {
        0 => text.to_ascii_uppercase(),
        1 => text.trim_end_matches('=').to_owned(),
        2 => text.replace('+', "-").replace('/', "_"),
        3 => digits(|bytes| STANDARD.encode(bytes)),
        4 => digits(|bytes| URL_SAFE.encode(bytes)),
        5 => text.bytes().map(|byte| format!("%{byte:02X}")).collect(),
        6 => text.replace('1', "\u{ff11}"),
        7 => text.replace("v1", "V1"),
        8 => format!("{text}{}", pick(chance, &[" ", "\n", "\r\n"])),
        _ => format!("{}{text}", pick(chance, &[" ", "\n", "\u{feff}"])),
    }
}

#[test]
fn of_ten_thousand_changed_messages_none_is_accepted_that_nobody_signed() {
    let seed = std::env::var("HYDRA_SEED").map_or_else(|_| rand::random(), |text| text.parse().expect("a number"));
    println!("HYDRA_SEED={seed}");
    let mut signer = Signer { chance: StdRng::seed_from_u64(seed), entries: Vec::new() };
    let sent: Vec<_> = SCHEMES.iter().cycle().take(MESSAGES).map(|scheme| signer.message(*scheme)).collect();
    let Signer { mut chance, entries } = signer;
    for message in &sent {
        assert!(message.is_accepted(), "a genuine {} message was refused", message.scheme.as_str());
    }
    let mut leaves: BTreeMap<Leave, usize> = BTreeMap::new();
    for number in 0..FORGERIES {
        let original = &sent[number % MESSAGES];
        let other = pick(&mut chance, &sent);
        let forged = forge(&mut chance, original, &other);
        let signed = entries.iter().any(|entry| forged.repeats(entry));
        let Message { scheme, id, time, header, body, secret, now } = &forged;
        assert_eq!(
            forged.is_accepted(),
            signed,
            "forgery {number} with {scheme:?}: {header:?}, time {time:?}, clock {now}, id {id:?}, body {body:?}, \
             secret {secret:?} made of {:?}",
            original.header
        );
        if signed {
            *leaves.entry(forged.leave(original)).or_default() += 1;
        }
    }
    let accepted: usize = leaves.values().sum();
    println!(
        "{FORGERIES} changes to {MESSAGES} messages: {} refused; accepted as meant: {leaves:?}",
        FORGERIES - accepted
    );
    assert!(accepted * 2 < FORGERIES && leaves.len() == 6, "too few changes of some kind: {leaves:?}");
}
