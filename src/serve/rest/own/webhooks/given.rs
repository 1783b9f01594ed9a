//! Reads the settings that a request gives. `openapi::own::settings` says which there are, and what values each can have.
//!
//! They become arguments of the functions in SQL: a number of seconds becomes the text of an interval.

use std::collections::BTreeMap;

use openapi::own::settings::{self, Absence, Setting, Values};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::serve::problem::{FieldError, Problem};
use crate::serve::refused;
use crate::serve::rest::Call;
use crate::serve::rest::write::body::{self, Body, Field};
use crate::serve::rest::write::fields::{MISSING, NULL, READ_ONLY, REPEATED, UNKNOWN, error, of_another_kind};

/// The longest value that is read, in bytes of JSON. No setting can have one that is as long.
const MAX_VALUE: usize = 1_000_000;

#[derive(Default)]
pub struct Given {
    /// Arguments of our functions, by name.
    pub values: Map<String, Value>,
    /// Settings that null takes back.
    pub reset: Vec<&'static str>,
}

impl Given {
    pub fn text(&self, name: &str) -> Option<&str> {
        self.values.get(name).and_then(Value::as_str)
    }
}

/// Reads the settings of a new webhook.
pub fn new_webhook(call: &Call<'_>) -> Result<Given, Problem> {
    let body = body::read(call.request, &[body::JSON])?;
    let settings: Vec<_> = settings::settings(call.key.tenant.is_some()).collect();
    let (given, mut errors) = read(&body, &settings);
    let required = settings.iter().filter(|setting| setting.absence == Absence::Required);
    let missing = required.filter(|setting| !body.fields.iter().any(|field| field.name == setting.name));
    errors.extend(missing.map(|setting| error(setting.name, MISSING)));
    finish(given, errors)
}

/// Reads the settings that a webhook is to have instead of its own.
pub fn changes(call: &Call<'_>) -> Result<Given, Problem> {
    let body = body::read(call.request, &[body::JSON, body::MERGE_PATCH])?;
    let settings: Vec<_> = settings::settings(call.key.tenant.is_some()).collect();
    let (given, errors) = read(&body, &settings);
    finish(given, errors)
}

/// Reads a body that can be left out.
pub fn optional(call: &Call<'_>, settings: &'static [Setting]) -> Result<Given, Problem> {
    if call.request.body.is_empty() {
        return Ok(Given::default());
    }
    let body = body::read(call.request, &[body::JSON])?;
    let (given, errors) = read(&body, &settings.iter().collect::<Vec<_>>());
    finish(given, errors)
}

/// Fails if the body has a member.
pub fn nothing(call: &Call<'_>) -> Result<(), Problem> {
    optional(call, &[]).map(drop)
}

fn finish(given: Given, errors: Vec<FieldError>) -> Result<Given, Problem> {
    match errors.is_empty() {
        true => Ok(given),
        false => Err(Problem::invalid().with_errors(errors)),
    }
}

fn read(body: &Body<'_>, settings: &[&'static Setting]) -> (Given, Vec<FieldError>) {
    let (mut given, mut errors, mut seen) = (Given::default(), Vec::new(), Vec::new());
    for field in &body.fields {
        let name = field.name.as_str();
        match settings.iter().find(|setting| setting.name == name) {
            None if settings::is_known(name) => errors.push(error(name, READ_ONLY)),
            None => errors.push(error(name, UNKNOWN)),
            Some(_) if seen.contains(&name) => errors.push(error(name, REPEATED)),
            Some(setting) => {
                seen.push(name);
                match value(setting, field) {
                    Ok(Some(value)) => {
                        given.values.insert(name.to_owned(), value);
                    }
                    Ok(None) => given.reset.push(setting.name),
                    Err(error) => errors.push(error),
                }
            }
        }
    }
    (given, errors)
}

/// Returns the argument that a value becomes; none for null, which takes a setting back.
fn value(setting: &Setting, field: &Field<'_>) -> Result<Option<Value>, FieldError> {
    let text = field.value.get();
    match (field.is_null(), setting.absence) {
        (true, Absence::Unset) => return Ok(None),
        (true, _) => return Err(error(setting.name, NULL)),
        _ if text.len() > MAX_VALUE => return Err(error(setting.name, ("check", "It is too long."))),
        _ => {}
    }
    let value = argument(setting.values, text)
        .map_err(|wrong| of_another_kind(setting.name, wrong.code(), &setting.values.described()))?;
    if has_nul(&value) {
        return Err(error(setting.name, ("check", "It cannot have the character U+0000.")));
    }
    if setting.name == "filter" && !value.as_str().is_some_and(|filter| refused::converts(filter, "jsonpath")) {
        return Err(of_another_kind(setting.name, "check", "a JSON path, such as $.priority == \"high\""));
    }
    Ok(Some(value))
}

/// Why a value is none of a setting.
enum Wrong {
    /// It has another JSON type.
    Type,
    /// It is beyond the bounds, or not one of the choices.
    Bounds,
}

impl Wrong {
    fn code(&self) -> &'static str {
        match self {
            Self::Type => "type",
            Self::Bounds => "check",
        }
    }
}

fn argument(values: Values, text: &str) -> Result<Value, Wrong> {
    match values {
        Values::Text => parsed::<String>(text).map(Value::from),
        Values::Choice(choices) => bounded(parsed::<String>(text)?, |value| choices.contains(&value.as_str())),
        Values::Texts(_) => parsed::<Vec<String>>(text).map(Value::from),
        Values::Choices(choices) => {
            bounded(parsed::<Vec<String>>(text)?, |values| values.iter().all(|value| choices.contains(&value.as_str())))
        }
        Values::Integer(most) => bounded(parsed::<i32>(text)?, |value| (1..=most).contains(value)),
        Values::Seconds(least, most) => seconds(parsed(text)?, least, most),
        Values::Delays(_, most) => {
            let delays = parsed::<Vec<f64>>(text)?;
            delays.into_iter().map(|delay| seconds(delay, 0.0, most)).collect()
        }
        Values::Boolean => parsed::<bool>(text).map(Value::from),
        Values::Headers => parsed::<BTreeMap<String, String>>(text).map(|headers| json!(headers)),
    }
}

fn parsed<T: DeserializeOwned>(text: &str) -> Result<T, Wrong> {
    serde_json::from_str(text).map_err(|_| Wrong::Type)
}

fn bounded<T: Into<Value>>(value: T, is_within: impl FnOnce(&T) -> bool) -> Result<Value, Wrong> {
    if is_within(&value) { Ok(value.into()) } else { Err(Wrong::Bounds) }
}

/// Returns the text of an interval.
fn seconds(number: f64, least: f64, most: f64) -> Result<Value, Wrong> {
    match (least..=most).contains(&number) {
        true => Ok(json!(format!("{number} seconds"))),
        false => Err(Wrong::Bounds),
    }
}

/// Whether there is a character that no text of Postgres can have.
fn has_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(values) => values.iter().any(has_nul),
        Value::Object(values) => values.iter().any(|(name, value)| name.contains('\0') || has_nul(value)),
        _ => false,
    }
}
