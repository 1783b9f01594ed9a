//! Decides whether a tool does what was shown.
//!
//! What it has done is a JSON document. Some of its values differ from run to run although nothing has changed: numbers of
//! sequences, uuids, times of the clock. So the tool is rehearsed twice in one transaction, and the places whose values differ
//! are noted. They *vary*: their values are no part of the digest. The time of the transaction is the same in both runs; it
//! is found by its value.
//!
//! Nothing that is written can be hidden in this way. Two runs must have the same places, the counts of rows must not vary, nor which
//! webhooks there are: what a tool may do is not known if these differ.

use std::collections::HashSet;

use serde_json::Value;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use crate::serve::mcp::Done;
use crate::serve::rehearse::Effects;
use crate::serve::rest::write::body;
use crate::serve::sql;

/// What is nested deeper counts as one value.
const DEEPEST: usize = 64;

/// What a run has done: its values, by their places.
pub struct Document(Vec<(String, String)>);

impl Document {
    /// To be called in the transaction of the run, with fixed settings.
    pub fn of(done: &Done, effects: &Effects) -> Self {
        let mut document = Self(Vec::new());
        let now = times();
        document.read("/before", done.before.as_deref().unwrap_or("null"), &now);
        document.read("/result", &done.result, &now);
        document.read("/notices", &Value::from(effects.notices.clone()).to_string(), &now);
        document.read("/tables", &effects.tables.to_string(), &[]);
        document.read("/webhook_count", &effects.webhook_count.to_string(), &[]);
        for (number, webhook) in effects.webhooks.iter().enumerate() {
            for member in ["event", "subscription_id", "name", "url"] {
                document.read(&format!("/webhooks/{number}/{member}"), &webhook.shown[member].to_string(), &[]);
            }
            document.read(&format!("/bodies/{number}"), &webhook.timeless_body, &now);
        }
        document
    }

    /// Adds the values of a JSON text.
    fn read(&mut self, place: &str, json: &str, now: &[String]) {
        let known = |text: &str| now.iter().any(|time| time == text);
        self.read_within(place, json.trim(), &known, DEEPEST);
    }

    fn read_within(&mut self, place: &str, json: &str, is_now: &dyn Fn(&str) -> bool, depth: usize) {
        match members(json).filter(|members| depth > 0 && !members.is_empty()) {
            Some(members) => {
                for (name, member) in members {
                    let name = name.replace('~', "~0").replace('/', "~1");
                    self.read_within(&format!("{place}/{name}"), member.get(), is_now, depth - 1);
                }
            }
            None if is_now(json) => self.0.push((place.to_owned(), "now".to_owned())),
            None => self.0.push((place.to_owned(), json.to_owned())),
        }
    }

    /// Returns the places whose values differ in another run; `None` if the runs differ in more than values.
    pub fn varying(&self, other: &Self) -> Option<Vec<String>> {
        if self.0.len() != other.0.len() {
            return None;
        }
        let mut varying = Vec::new();
        for ((place, value), (other_place, other_value)) in self.0.iter().zip(&other.0) {
            let is_alike = place == other_place && kind(value) == kind(other_value);
            match value == other_value {
                _ if !is_alike => return None,
                true => {}
                false if ["/tables", "/webhook_count", "/webhooks"].iter().any(|part| place.starts_with(part)) => {
                    return None;
                }
                false => varying.push(place.clone()),
            }
        }
        Some(varying)
    }

    /// Returns the SHA-256 of all values but those that vary.
    pub fn digest(&self, varying: &[String]) -> Vec<u8> {
        let varying: HashSet<&str> = varying.iter().map(String::as_str).collect();
        let mut digest = Sha256::new();
        for (place, value) in &self.0 {
            let value = if varying.contains(place.as_str()) { "" } else { value.as_str() };
            for text in [place.as_str(), value] {
                digest.update((text.len() as u64).to_be_bytes());
                digest.update(text);
            }
        }
        digest.finalize().to_vec()
    }
}

/// Returns the members of an object or the elements of an array, in their order.
fn members(json: &str) -> Option<Vec<(String, &RawValue)>> {
    match json.as_bytes().first() {
        Some(b'{') => {
            let fields = body::fields(json).ok()?;
            Some(fields.into_iter().map(|field| (field.name, field.value)).collect())
        }
        Some(b'[') => {
            let elements: Vec<&RawValue> = serde_json::from_str(json).ok()?;
            Some(elements.into_iter().enumerate().map(|(number, element)| (number.to_string(), element)).collect())
        }
        _ => None,
    }
}

/// What kind of value it is: by its first character, in which all numbers are alike.
fn kind(json: &str) -> u8 {
    match json.bytes().next().unwrap_or_default() {
        b'-' | b'0'..=b'9' => b'0',
        b't' | b'f' => b't',
        other => other,
    }
}

/// Returns the time of this transaction, and that of the statement of the client, as JSON strings in the forms that they can have.
fn times() -> Vec<String> {
    const TIMES: &str = include_str!("../../../sql/queries/forms_of_now.sql");
    sql::rows(TIMES, &[], |row| row.first::<String>())
        .into_iter()
        .flatten()
        .map(|form| Value::from(form).to_string())
        .collect()
}
