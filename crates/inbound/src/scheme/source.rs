//! Where the id or the type of an event is.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::HeaderName;
use crate::path::Path;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    Header(HeaderName),
    Path(Path),
    /// The values of several sources, separated by dots. The first must have one.
    Joined(Vec<Source>),
    /// The SHA-256 of the body, or of the event in it. For providers that send no id: what is sent again is the same.
    Digest,
}

/// Of an id or a type.
const MAX_BYTES: usize = 255;

pub(crate) fn is_storable(value: &str) -> bool {
    value.len() <= MAX_BYTES && !value.contains('\0')
}

/// What sources take values from. For an element of a body there are no headers.
pub(crate) trait Given {
    fn header(&self, name: &str) -> Option<String>;
    fn value(&self) -> Option<&Value>;
    fn digest(&self) -> String;
}

impl Source {
    /// Returns a value that is not empty.
    pub(crate) fn of(&self, given: &impl Given) -> Option<String> {
        let value = match self {
            Source::Header(name) => given.header(name.as_str()),
            Source::Path(path) => path.text(given.value()?),
            Source::Joined(sources) => joined(sources, |source| source.of(given)),
            Source::Digest => Some(given.digest()),
        };
        value.filter(|value| !value.is_empty())
    }

    pub(crate) fn of_element(&self, element: &Value) -> Option<String> {
        self.of(&Element(element)).filter(|value| is_storable(value))
    }

    /// Whether a value is found without reading the body as JSON.
    pub(crate) fn reads_json(&self) -> bool {
        match self {
            Source::Path(_) => true,
            Source::Joined(sources) => sources.iter().any(Source::reads_json),
            Source::Header(_) | Source::Digest => false,
        }
    }
}

fn joined(sources: &[Source], value: impl Fn(&Source) -> Option<String>) -> Option<String> {
    let (first, more) = sources.split_first()?;
    let mut text = value(first)?;
    for part in more.iter().filter_map(value) {
        text.push('.');
        text.push_str(&part);
    }
    Some(text)
}

struct Element<'a>(&'a Value);

impl Given for Element<'_> {
    fn header(&self, _name: &str) -> Option<String> {
        None
    }

    fn value(&self) -> Option<&Value> {
        Some(self.0)
    }

    fn digest(&self) -> String {
        digest(self.0.to_string().as_bytes())
    }
}

pub(crate) fn digest(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}
