//! The key by which a message that comes again is recognized.
//!
//! A server that got no answer sends the message again, perhaps on another way, which leaves other trace fields at its
//! top. So the key is made of what does not change on the way. It is not the Message-ID alone: the sender chooses it, and
//! could keep the messages of others away by using theirs first.

use sha2::{Digest, Sha256};

use crate::fields::{Field, values};

const FIELDS: [&str; 4] = ["from", "message-id", "date", "subject"];

pub fn key(recipient: &str, fields: &[Field], body: &[u8]) -> [u8; 32] {
    let mut hash = Sha256::new();
    let mut add = |text: &[u8]| {
        hash.update((text.len() as u64).to_be_bytes());
        hash.update(text);
    };
    add(recipient.to_lowercase().as_bytes());
    for name in FIELDS {
        for value in values(fields, name) {
            add(value.split_whitespace().collect::<Vec<_>>().join(" ").as_bytes());
        }
        add(b"");
    }
    let end = body.iter().rposition(|byte| !byte.is_ascii_whitespace()).map_or(0, |last| last + 1);
    hash.update(&body[..end]);
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fields;

    #[test]
    fn a_key_depends_on_what_was_written_and_not_on_the_way() {
        let one = fields::of(b"Received: from a\nFrom: Ann <a@b>\nMessage-ID: <1@b>\nSubject: x");
        let other = fields::of(b"Received: from c\nX-Spam: no\nSubject: x\nFrom: Ann\n <a@b>\nMessage-ID: <1@b>");
        assert_eq!(key("s@h", &one, b"text\r\n"), key("S@h", &other, b"text\r\n\r\n"));
        assert_ne!(key("s@h", &one, b"text"), key("t@h", &one, b"text"));
        assert_ne!(key("s@h", &one, b"text"), key("s@h", &one, b"text 2"));
        let stranger = fields::of(b"From: Eve <e@b>\nMessage-ID: <1@b>\nSubject: x");
        assert_ne!(key("s@h", &one, b"text"), key("s@h", &stranger, b"text"));
    }
}
