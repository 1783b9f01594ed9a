//! Takes signatures out of their header.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::request::required;
use super::{Denied, Stage};
use crate::arriving::Arriving;
use crate::scheme::{Declared, Encoding};

/// During a rotation, a header has a few signatures. More are ignored.
const MAX_SIGNATURES: usize = 32;
const MAX_HEADER_BYTES: usize = 8192;

pub struct Header<'a> {
    declared: &'a Declared,
    value: &'a str,
}

impl<'a> Header<'a> {
    pub fn read(declared: &'a Declared, arriving: &Arriving<'a>) -> Result<Self, Denied> {
        let name = declared.header.as_str();
        let value = required(arriving, name, Stage::Signature)?;
        if value.len() > MAX_HEADER_BYTES {
            return Err(Denied::new(Stage::Signature, format!("the header {name} is too long")));
        }
        Ok(Self { declared, value })
    }

    /// Returns the values of the parts with this name.
    pub fn parts(&self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let list = self.declared.parts.as_ref().map(|parts| (self.value.split(&parts.separator), &parts.assign));
        let parts = list.into_iter().flat_map(|(list, assign)| list.map(move |part| part.trim().split_once(assign)));
        parts.flatten().filter(move |(given, _)| *given == name).map(|(_, value)| value)
    }

    /// Returns the signatures that can be read. There is at least one.
    pub fn signatures(&self) -> Result<Vec<Vec<u8>>, Denied> {
        let written: Vec<&str> = match (&self.declared.parts, &self.declared.prefix) {
            (Some(parts), _) => self.parts(&parts.name).take(MAX_SIGNATURES).collect(),
            (None, prefix) => self.value.strip_prefix(prefix.as_deref().unwrap_or_default()).into_iter().collect(),
        };
        let signatures: Vec<_> = written.iter().filter_map(|written| self.decoded(written)).collect();
        if signatures.is_empty() {
            return Err(self.unreadable(written.len()));
        }
        Ok(signatures)
    }

    pub fn has_any(&self) -> bool {
        self.signatures().is_ok()
    }

    fn decoded(&self, written: &str) -> Option<Vec<u8>> {
        let decoded = match self.declared.encoding {
            Encoding::Hex => hex::decode(written).ok(),
            Encoding::Base64 => STANDARD.decode(written).ok(),
        };
        decoded.filter(|signature| !signature.is_empty())
    }

    fn unreadable(&self, count: usize) -> Denied {
        let Declared { header, parts, prefix, encoding, .. } = self.declared;
        let form = match encoding {
            Encoding::Hex => "hexadecimal digits",
            Encoding::Base64 => "base64",
        };
        let expected = match (parts, prefix) {
            (Some(parts), _) => format!("It needs a part {}{} and {form}.", parts.name, parts.assign),
            (None, Some(prefix)) => format!("It needs {prefix} and {form}."),
            (None, None) => format!("It needs {form}."),
        };
        let what = if count == 0 { "has no signature" } else { "has a signature that cannot be read" };
        Denied::new(Stage::Signature, format!("the header {} {what}", header.as_str())).detail(expected)
    }
}
