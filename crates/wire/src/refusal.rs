//! Why a value that a user gave is refused, in the three parts of a Postgres error.

use std::fmt;

/// The message is in lower case without a full stop. The detail states facts, and the hint says what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub message: String,
    pub detail: Option<String>,
    pub hint: Option<String>,
}

impl Refusal {
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), detail: None, hint: None }
    }

    pub fn detail(self, detail: impl Into<String>) -> Self {
        Self { detail: Some(detail.into()), ..self }
    }

    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// Returns all parts as one text, for places that have room for only one.
    pub fn in_one_line(&self) -> String {
        let rest: Vec<&str> = [&self.detail, &self.hint].into_iter().flatten().map(String::as_str).collect();
        match rest.is_empty() {
            true => self.message.clone(),
            false => format!("{}: {}", self.message, rest.join(" ")),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Refusal {}
