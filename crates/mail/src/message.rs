//! The whole message: the headers that matter, its texts, its attachments.

use std::fmt;

use mail_parser::{Addr, HeaderName, HeaderValue, MessageParser};

use crate::authentication::{self, Sender};
use crate::fields::{self, Field, value};
use crate::parts::{Leaf, leaves, split_header};
use crate::{automatic, dedupe, html, thread};

/// The number of messages that one refers to.
const MAX_REFERENCES: usize = 200;
/// Of a text, in bytes. The rest is in the raw message.
const LONGEST_TEXT: usize = 1 << 20;
const LONGEST_SUBJECT: usize = 1000;
const LONGEST_ADDRESS: usize = 320;
const MAX_RECIPIENTS: usize = 200;

/// Why a message is not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TooComplex {
    Header,
    Depth,
    Parts,
}

impl fmt::Display for TooComplex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Header => "the header of the message is too long",
            Self::Depth => "the parts of the message are nested too deeply",
            Self::Parts => "the message has too many parts",
        })
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mailbox {
    /// In lower case.
    pub address: String,
    pub name: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachment {
    pub name: Option<String>,
    pub kind: String,
    /// In bytes, decoded.
    pub size: usize,
}

#[derive(Debug)]
pub struct Message {
    /// The only address in `From`; `None`: there is none, or more than one.
    pub from: Option<Mailbox>,
    pub to: Vec<Mailbox>,
    pub subject: String,
    /// RFC 3339.
    pub date: Option<String>,
    pub message_id: Option<String>,
    /// Of `In-Reply-To` and `References`; those that are more likely to be known come first.
    pub references: Vec<String>,
    /// The plain text, or that of the HTML where there is no plain one.
    pub text: String,
    pub html_text: Option<String>,
    pub attachments: Vec<Attachment>,
    fields: Vec<Field>,
    kind: String,
    body: Vec<u8>,
}

impl Message {
    /// Reads a message.
    pub fn read(raw: &[u8]) -> Result<Self, TooComplex> {
        let (header, body) = split_header(raw)?;
        let fields = fields::of(header);
        let leaves = leaves(raw)?;
        let parsed = MessageParser::default().parse_headers(header);
        let values = |name: HeaderName<'static>| -> Vec<&HeaderValue<'_>> {
            let headers = parsed.as_ref().map(|parsed| parsed.headers()).unwrap_or_default();
            headers.iter().filter(|header| header.name == name).map(|header| &header.value).collect()
        };
        let mailboxes = |name| -> Vec<Mailbox> {
            let values = values(name);
            let addresses = values.iter().filter_map(|value| value.as_address()).flat_map(|address| address.iter());
            addresses.filter_map(mailbox).take(MAX_RECIPIENTS).collect()
        };
        let from = mailboxes(HeaderName::From);
        let is_one = from.len() == 1 && fields::values(&fields, "from").count() == 1;
        let date =
            values(HeaderName::Date).first().and_then(|value| value.as_datetime()).filter(|date| date.is_valid());
        let (text, html_text) = texts(&leaves);
        let kind = value(&fields, "content-type").and_then(|kind| kind.split(';').next()).unwrap_or_default();
        Ok(Self {
            from: from.into_iter().next().filter(|_| is_one),
            to: [mailboxes(HeaderName::To), mailboxes(HeaderName::Cc)].concat(),
            subject: values(HeaderName::Subject)
                .first()
                .and_then(|value| value.as_text())
                .map_or(String::new(), |subject| {
                    clean(subject, LONGEST_SUBJECT).split_whitespace().collect::<Vec<_>>().join(" ")
                }),
            date: date.map(|date| date.to_rfc3339()),
            message_id: value(&fields, "message-id").and_then(|id| thread::message_ids(id).into_iter().next()),
            references: references(&fields),
            text,
            html_text,
            attachments: attachments(&leaves).map(describe).collect(),
            kind: kind.trim().to_ascii_lowercase(),
            body: body.to_vec(),
            fields,
        })
    }

    /// Judges whether the address in `From` is proven, by the results of the trusted server.
    pub fn sender(&self, trusted: Option<&str>) -> Sender {
        let domain = self.from.as_ref().and_then(|from| from.address.rsplit_once('@')).map(|(_, domain)| domain);
        authentication::judge(&self.fields, domain, trusted)
    }

    /// Returns why the message is taken for one that a program has sent.
    pub fn automatic(&self, return_path: Option<&str>) -> Option<&'static str> {
        automatic::reason(&self.fields, &self.kind, return_path)
    }

    pub fn key(&self, recipient: &str) -> [u8; 32] {
        dedupe::key(recipient, &self.fields, &self.body)
    }

    /// The addresses to which a server has delivered the message, for a message that came without them.
    pub fn delivered_to(&self) -> Vec<String> {
        let stated = ["delivered-to", "x-original-to", "envelope-to"]
            .into_iter()
            .flat_map(|name| fields::values(&self.fields, name));
        let stated = stated.map(|address| address.trim_matches(['<', '>', ' ']).to_owned());
        stated.chain(self.to.iter().map(|mailbox| mailbox.address.clone())).collect()
    }
}

/// Returns the content of an attachment, by its place in [`Message::attachments`].
pub fn attachment(raw: &[u8], index: usize) -> Option<Vec<u8>> {
    let leaves = leaves(raw).ok()?;
    let leaf = attachments(&leaves).nth(index)?;
    Some(leaf.bytes())
}

fn references(fields: &[Field]) -> Vec<String> {
    let ids = |name: &str| fields::values(fields, name).flat_map(thread::message_ids).collect::<Vec<_>>();
    let mut all = ids("in-reply-to");
    // The latest one is the last.
    all.truncate(MAX_REFERENCES);
    for id in ids("references").into_iter().rev() {
        if all.len() == MAX_REFERENCES {
            break;
        }
        if !all.contains(&id) {
            all.push(id);
        }
    }
    all
}

fn mailbox(address: &Addr<'_>) -> Option<Mailbox> {
    let bare = clean(address.address.as_deref()?.trim(), LONGEST_ADDRESS).to_lowercase();
    let (local, domain) = bare.rsplit_once('@')?;
    let is_fine = !local.is_empty() && !domain.is_empty() && !bare.contains(char::is_whitespace);
    let name = address.name.as_deref().map(|name| clean(name, LONGEST_ADDRESS)).filter(|name| !name.trim().is_empty());
    is_fine.then_some(Mailbox { address: bare, name })
}

/// Whether the part is a text that is read as the content of the message.
fn is_text(leaf: &Leaf<'_>, kind: &str) -> bool {
    !leaf.is_attachment && leaf.kind == kind
}

fn attachments<'a>(leaves: &'a [Leaf<'a>]) -> impl Iterator<Item = &'a Leaf<'a>> {
    // What is not shown is an attachment, except other forms of the text, such as calendars.
    leaves.iter().filter(|leaf| {
        leaf.is_attachment || !leaf.is_alternative && !is_text(leaf, "text/plain") && !is_text(leaf, "text/html")
    })
}

fn describe(leaf: &Leaf<'_>) -> Attachment {
    let kind = clean(&leaf.kind, 200);
    Attachment { name: leaf.name.clone(), kind, size: leaf.bytes().len() }
}

/// Returns the text, and that of the HTML.
fn texts(leaves: &[Leaf<'_>]) -> (String, Option<String>) {
    let of = |kind: &str, read: &dyn Fn(String) -> String| {
        let mut whole = String::new();
        for text in leaves.iter().filter(|leaf| is_text(leaf, kind)).filter_map(Leaf::text) {
            if !whole.is_empty() && !whole.ends_with('\n') {
                whole.push('\n');
            }
            whole.push_str(&read(text));
            if whole.len() > LONGEST_TEXT {
                break;
            }
        }
        clean(&whole.replace("\r\n", "\n"), LONGEST_TEXT)
    };
    let plain = of("text/plain", &|text| text);
    let html = Some(of("text/html", &|text| html::text(&text))).filter(|text| !text.trim().is_empty());
    match plain.trim().is_empty() {
        true => (html.clone().unwrap_or(plain), html),
        false => (plain, html),
    }
}

/// Returns the text without NUL, which Postgres does not store, and not longer than permitted.
fn clean(text: &str, longest: usize) -> String {
    text[..text.floor_char_boundary(longest)].replace('\0', "\u{fffd}")
}

#[cfg(test)]
mod tests;
