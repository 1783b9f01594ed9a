//! Changes to messages: random ones, and those that attackers try.

use base64::engine::general_purpose::URL_SAFE;
use rand::RngExt;
use rand::rngs::StdRng;

use super::super::*;
use super::message::Message;
use super::pick;
use crate::secret::PREFIX;

/// Makes one to three changes, which give a different message.
pub fn forge(chance: &mut StdRng, sent: &Message, other: &Message) -> Message {
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

/// Moves the boundary between two signed parts, which are joined by dots. The end of one part must not be taken for the
/// beginning of the next.
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
        // The values of two genuine messages.
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

/// Writes the same value in another encoding.
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
