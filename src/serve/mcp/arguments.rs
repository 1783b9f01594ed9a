//! Makes parameters of the REST API of the arguments of a tool.
//!
//! Values are not checked here: the REST API says what is wrong with one, and the model reads it.

use serde_json::{Map, Value};
use wire::form::escaped;

use super::tools::Found;
use crate::serve::rest::kind::whole;

/// Rows that a list returns, if nothing is said, and at most.
pub const LIMIT: usize = 20;
pub const MOST: usize = 50;

/// Arguments as text, by the names that the tool has for them.
pub struct Arguments(Vec<(String, String)>);

impl Arguments {
    /// Reads the arguments of a tool. The error is for the model.
    pub fn read(found: &Found, given: &Map<String, Value>) -> Result<Self, String> {
        let mut read = Vec::new();
        for (name, value) in given {
            refuse_unknown(found, name)?;
            if let Some(text) = text(value).map_err(|why| format!("The argument {name} {why}."))? {
                read.push((name.clone(), text));
            }
        }
        Ok(Self(read))
    }

    /// Takes an argument out.
    pub fn take(&mut self, name: &str) -> Option<String> {
        let place = self.0.iter().position(|(other, _)| other == name)?;
        Some(self.0.remove(place).1)
    }

    /// Takes the limit out of them.
    pub fn take_limit(&mut self) -> Result<usize, String> {
        let Some(limit) = self.take("limit") else { return Ok(LIMIT) };
        let limit = limit.parse().ok().filter(|limit| (1..=MOST).contains(limit));
        limit.ok_or_else(|| format!("The argument limit is a number from 1 to {MOST}."))
    }

    /// Returns them as the query of a list.
    pub fn query(&self, fixed: &[(&str, &str)], limit: usize) -> String {
        let fixed = fixed.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let own = self.0.iter().map(|(name, value)| (parameter(name), value.clone()));
        let limit = [("limit".to_owned(), limit.to_string())];
        let pairs =
            fixed.chain(own).chain(limit).map(|(name, value)| format!("{}={}", escaped(&name), escaped(&value)));
        pairs.collect::<Vec<_>>().join("&")
    }
}

/// Fails if the tool has no argument of this name, and says which it has.
pub fn refuse_unknown(found: &Found, name: &str) -> Result<(), String> {
    let known = found.tool.input["properties"].as_object();
    let known: Vec<&str> = known.into_iter().flat_map(|known| known.keys().map(String::as_str)).collect();
    if known.contains(&name) {
        return Ok(());
    }
    let known = if known.is_empty() { "It has none".to_owned() } else { format!("It has {}", known.join(", ")) };
    Err(format!("The tool has no argument {name}. {known}."))
}

/// Returns a value as text; `None` if it is as if it were not given.
fn text(value: &Value) -> Result<Option<String>, &'static str> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) if text.contains('\0') => Err("has a character that no text of the database has"),
        Value::String(text) => Ok(Some(text.clone())),
        Value::Bool(_) => Ok(Some(value.to_string())),
        Value::Number(number) => Ok(Some(whole(&number.to_string()).to_owned())),
        Value::Array(values) => {
            let mut texts = Vec::new();
            for value in values {
                match text(value)? {
                    Some(text) if !value.is_array() && !text.contains(',') => texts.push(text),
                    _ => return Err("has a value that cannot be in a list"),
                }
            }
            if texts.is_empty() { Err("is an empty list") } else { Ok(Some(texts.join(","))) }
        }
        Value::Object(_) => Err("is an object, and has to be a value"),
    }
}

/// Returns the name of a parameter: `created_at[gte]` for the argument `created_at.gte`.
fn parameter(name: &str) -> String {
    match name.rsplit_once('.') {
        Some((column, operator)) => format!("{column}[{operator}]"),
        None => name.to_owned(),
    }
}
