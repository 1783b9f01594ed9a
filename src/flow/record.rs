//! Writes runs of flows. Texts and JSON of any size can come from functions of the application, so they are shortened.

use std::time::{Duration, SystemTime};

use pgrx::JsonB;
use pgrx::prelude::*;
use serde_json::{Value, json};

use crate::store::{Statement, to_timestamp};
use crate::tables;

/// The longest error that is kept, in bytes, and the largest JSON.
const MAX_ERROR: usize = 2000;
const MAX_JSON: usize = 32 * 1024;

#[derive(Clone, Copy)]
pub enum Mode {
    Deployed,
    Rehearsal,
}

pub enum Outcome<'a> {
    Done { result: &'a Value, effects: Option<&'a Value> },
    Failed { error: &'a str, sqlstate: &'a str },
}

pub struct Run<'a> {
    pub flow: i64,
    pub inbound_event: i64,
    pub mode: Mode,
    pub at: SystemTime,
    pub took: Duration,
    pub outcome: Outcome<'a>,
}

/// Writes the row of a run.
pub fn write(run: &Run<'_>) {
    thread_local! {
        static INSERT: Statement = const { Statement::new(include_str!("../../sql/queries/insert_flow_run.sql")) };
    }
    let mode = match run.mode {
        Mode::Deployed => "deployed",
        Mode::Rehearsal => "rehearsal",
    };
    let (result, effects, error, sqlstate) = match run.outcome {
        Outcome::Done { result, effects } => (kept(result), effects.and_then(kept), None, None),
        Outcome::Failed { error, sqlstate } => (None, None, Some(short(error)), Some(sqlstate)),
    };
    let row = [
        run.flow.into(),
        run.inbound_event.into(),
        mode.into(),
        to_timestamp(run.at).into(),
        (run.took.as_micros() as i64).into(),
        result.map(JsonB).into(),
        effects.map(JsonB).into(),
        error.into(),
        sqlstate.into(),
    ];
    tables::as_owner(|| Spi::connect_mut(|client| INSERT.with(|insert| insert.write(client, &row).count())));
}

/// Returns JSON in the form in which it is kept: as it is, or if it is too large, its size alone. Of a large object, the
/// members that are too large are replaced.
fn kept(value: &Value) -> Option<Value> {
    let size = |value: &Value| value.to_string().len();
    let too_large = |size: usize| json!({"not_kept": true, "bytes": size});
    match value {
        Value::Null => None,
        value if size(value) <= MAX_JSON => Some(value.clone()),
        Value::Object(members) if members.len() <= 10 => {
            let most = MAX_JSON / members.len();
            let shorten = |value: &Value| match size(value) {
                size if size > most => too_large(size),
                _ => value.clone(),
            };
            let shortened = members.iter().map(|(key, value)| (key.clone(), shorten(value))).collect();
            Some(Value::Object(shortened)).filter(|value| size(value) <= 2 * MAX_JSON)
        }
        value => Some(too_large(size(value))),
    }
}

/// Returns the beginning of a text.
pub fn short(text: &str) -> String {
    text[..text.floor_char_boundary(MAX_ERROR)].to_owned()
}
