//! Tags, reply addresses and Message-IDs, and which of them decides to which thread a message belongs.
//!
//! A thread is what the messages about one thing of the application have in common, such as a ticket. It has a *tag* of
//! eight characters, which is put into the subject, where people see and forward it. A *reply address* has the tag and a
//! signature. All of these find a thread, and none of them proves who has written.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Without letters that are read as others. Case does not matter, because mail servers may change it.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
pub const TAG: usize = 8;
/// Thirteen characters are 65 bits.
const SIGNATURE: usize = 13;
/// Of one message. A thread that is longer repeats the earliest and the latest ones.
const MAX_IDS: usize = 100;

/// Returns the tag of a thing of the application. If another thing has the same tag already, `attempt` gives another.
pub fn tag(secret: &[u8], tenant: Option<&str>, entity_type: &str, entity_id: &str, attempt: u8) -> String {
    let attempt = attempt.to_string();
    let tenant = tenant.map_or_else(|| "-".to_owned(), |tenant| format!("+{tenant}"));
    letters(secret, &["tag", &tenant, entity_type, entity_id, &attempt], TAG)
}

fn letters(secret: &[u8], parts: &[&str], count: usize) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("a key of any length");
    for part in parts {
        mac.update(&(part.len() as u64).to_be_bytes());
        mac.update(part.as_bytes());
    }
    let bytes = mac.finalize().into_bytes();
    let bit = |at: usize| usize::from(bytes[at / 8] >> (7 - at % 8) & 1);
    let letter = |at: usize| char::from(ALPHABET[(0..5).fold(0, |sum, place| sum << 1 | bit(at * 5 + place))]);
    (0..count).map(letter).collect()
}

/// Returns the tags in a subject, such as `k3f9x2qd` in `Re: [Ticket #k3f9x2qd] Printer`, in their order.
pub fn tags(subject: &str) -> Vec<String> {
    let is_tag = |rest: &str| -> Option<String> {
        let tag = rest.get(..TAG).filter(|tag| tag.bytes().all(is_letter))?;
        rest[TAG..].starts_with(']').then(|| tag.to_ascii_lowercase())
    };
    let mut found = Vec::new();
    for (at, _) in subject.match_indices('#').take(20) {
        let tag = is_tag(&subject[at + 1..]).filter(|_| subject[..at].contains('['));
        if let Some(tag) = tag.filter(|tag| !found.contains(tag)) {
            found.push(tag);
        }
    }
    found
}

fn is_letter(byte: u8) -> bool {
    ALPHABET.contains(&byte.to_ascii_lowercase())
}

/// Returns the address to which replies about the thread with this tag are sent; `None`: the address has no `@`.
pub fn reply_address(secret: &[u8], channel: &str, tag: &str) -> Option<String> {
    let (local, domain) = channel.rsplit_once('@')?;
    let base = local.split('+').next().unwrap_or_default();
    Some(format!("{base}+{tag}{}@{domain}", signature(secret, channel, tag)))
}

fn signature(secret: &[u8], channel: &str, tag: &str) -> String {
    letters(secret, &["reply", &channel.to_lowercase(), tag], SIGNATURE)
}

/// An address as a server was told it: that of a channel, and perhaps more behind a plus sign.
#[derive(Debug, PartialEq, Eq)]
pub struct Recipient {
    /// Without what is behind the plus sign, in lower case.
    pub base: String,
    pub detail: Option<String>,
}

impl Recipient {
    pub fn parse(address: &str) -> Option<Self> {
        let (local, domain) =
            address.rsplit_once('@').filter(|(local, domain)| !local.is_empty() && !domain.is_empty())?;
        let (base, detail) = local.split_once('+').map_or((local, None), |(base, detail)| (base, Some(detail)));
        Some(Self { base: format!("{base}@{domain}").to_lowercase(), detail: detail.map(str::to_owned) })
    }

    /// Returns the tag, if the address is one that [`reply_address`] has made for this channel.
    pub fn tag(&self, secret: &[u8], channel: &str) -> Option<String> {
        let detail = self.detail.as_ref()?.to_ascii_lowercase();
        let (tag, signed) = detail.split_at_checked(TAG)?;
        let expected = signature(secret, channel, tag);
        // All characters are compared, so that the time says nothing about them.
        let differ = signed.bytes().zip(expected.bytes()).fold(0, |sum, (one, other)| sum | (one ^ other));
        (signed.len() == expected.len() && differ == 0 && tag.bytes().all(is_letter)).then(|| tag.to_owned())
    }
}

/// Returns the Message-IDs in a field such as `References`, without their angle brackets. One with a control character is none: no
/// mail program makes it, and the database cannot hold each of these characters.
pub fn message_ids(value: &str) -> Vec<String> {
    const LONGEST: usize = 900;
    let mut ids: Vec<String> = value
        .split('<')
        .skip(1)
        .filter_map(|rest| rest.split_once('>').map(|(id, _)| id.split_whitespace().collect::<String>()))
        .filter(|id| !id.is_empty() && id.len() <= LONGEST && !id.contains(char::is_control))
        .collect();
    if ids.len() > MAX_IDS {
        ids.drain(MAX_IDS / 2..ids.len() - MAX_IDS / 2);
    }
    ids
}

/// What each signal has found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Signals<T> {
    /// The signature of a reply address.
    pub address: Option<T>,
    /// The tag in the subject.
    pub subject: Option<T>,
    /// A known Message-ID in `In-Reply-To` or `References`.
    pub references: Option<T>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FoundBy {
    Address,
    Subject,
    References,
}

impl FoundBy {
    pub fn name(self) -> &'static str {
        match self {
            Self::Address => "address",
            Self::Subject => "subject",
            Self::References => "references",
        }
    }
}

impl<T: PartialEq + Copy> Signals<T> {
    /// Returns the thread, and the signal that decides. A reply address says most, because it is signed. A tag in the
    /// subject says more than the references if it is another one: somebody has written it there, while the mail program
    /// adds the references.
    pub fn decide(&self) -> Option<(T, FoundBy)> {
        match (self.address, self.subject, self.references) {
            (Some(thread), ..) => Some((thread, FoundBy::Address)),
            (_, Some(tagged), Some(known)) if tagged == known => Some((known, FoundBy::References)),
            (_, Some(tagged), _) => Some((tagged, FoundBy::Subject)),
            (.., known) => known.map(|known| (known, FoundBy::References)),
        }
    }

    /// Whether two signals lead to different threads.
    pub fn disagree(&self) -> bool {
        let mut found = [self.address, self.subject, self.references].into_iter().flatten();
        found.next().is_some_and(|first| found.any(|other| other != first))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &[u8] = b"a secret of this database";

    #[test]
    fn a_tag_is_found_in_a_subject_whatever_is_around_it() {
        let tag = tag(SECRET, Some("acme"), "ticket", "7", 0);
        assert_eq!(tag.len(), TAG);
        for subject in [
            format!("[Ticket #{tag}]"),
            format!("AW: WG: [Ticket #{}] Drucker", tag.to_uppercase()),
            format!("Fwd: x #1 [Case #{tag}]"),
        ] {
            assert_eq!(tags(&subject), std::slice::from_ref(&tag), "{subject}");
        }
        for subject in [
            "",
            "#",
            "[Ticket #]",
            "[Ticket #k3f9x2q]",
            "[Ticket #k3f9x2qdd]",
            "#k3f9x2qd]",
            "[Ticket #k3f9x2qé]",
            "[#uuuuuuuu]",
        ] {
            assert!(tags(subject).is_empty(), "{subject}");
        }
    }

    #[test]
    fn tags_of_different_things_differ() {
        let of = |tenant, kind, id, attempt| tag(SECRET, tenant, kind, id, attempt);
        let all = [
            of(None, "ticket", "1", 0),
            of(Some(""), "ticket", "1", 0),
            of(Some("a"), "ticket", "1", 0),
            of(None, "ticket1", "", 0),
            of(None, "ticket", "1", 1),
            tag(b"other", None, "ticket", "1", 0),
        ];
        for (at, one) in all.iter().enumerate() {
            assert!(!all[..at].contains(one));
        }
    }

    #[test]
    fn a_reply_address_leads_to_its_tag_and_a_changed_one_to_none() {
        let channel = "support@helpdesk.test";
        let address = reply_address(SECRET, channel, "k3f9x2qd").unwrap();
        assert!(address.starts_with("support+k3f9x2qd") && address.len() < 64, "{address}");
        let tag = |address: &str| Recipient::parse(address).unwrap().tag(SECRET, channel);
        assert_eq!(tag(&address), Some("k3f9x2qd".into()));
        assert_eq!(tag(&address.to_uppercase()), Some("k3f9x2qd".into()));
        assert_eq!(Recipient::parse(&address).unwrap().base, channel);
        for other in [
            channel.to_owned(),
            address.replace("k3f9", "k3f8"),
            address.replace('@', "0@"),
            "support+k3f9x2qd@helpdesk.test".into(),
            "support+é23456789@helpdesk.test".into(),
            "support+@helpdesk.test".into(),
        ] {
            assert_eq!(tag(&other), None, "{other}");
        }
        assert_eq!(Recipient::parse(&address).unwrap().tag(SECRET, "sales@helpdesk.test"), None);
    }

    #[test]
    fn message_ids_are_read_and_their_number_is_limited() {
        assert_eq!(message_ids("<a@b> (x) <c\r\n @d>\t<>"), ["a@b", "c@d"]);
        assert_eq!(message_ids("<a\0@b> <c@\x1bd> <e\x7f@f> <g@h>"), ["g@h"], "control characters");
        let many: String = (0..500).map(|id| format!("<{id}@b> ")).collect();
        let ids = message_ids(&many);
        assert_eq!((ids.len(), ids[0].as_str(), ids[99].as_str()), (100, "0@b", "499@b"));
    }

    #[test]
    fn the_signals_have_an_order() {
        let decide = |address, subject, references| Signals { address, subject, references }.decide();
        assert_eq!(decide(Some(1), Some(2), Some(3)), Some((1, FoundBy::Address)));
        assert_eq!(decide(None, Some(2), Some(3)), Some((2, FoundBy::Subject)));
        assert_eq!(decide(None, Some(3), Some(3)), Some((3, FoundBy::References)));
        assert_eq!(decide(None, None, Some(3)), Some((3, FoundBy::References)));
        assert_eq!(decide(None, Some(2), None), Some((2, FoundBy::Subject)));
        assert_eq!(decide(None, None, None), None);
        assert!(Signals { address: Some(1), subject: None, references: Some(2) }.disagree());
        assert!(!Signals { address: Some(1), subject: None, references: Some(1) }.disagree());
    }
}
