//! Reports that a part of a watch failed: what failed, what becomes of the event, and what to do.
//!
//! The statement goes on, so nobody would notice. A session warns once for each part, error and version of the table,
//! not for each row. With `hydra_webhooks.on_entity_error = error` the statement fails instead.

use std::cell::RefCell;
use std::collections::HashSet;

use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use super::definition::Definition;
use super::table::Table;
use crate::backend::subtransaction::Failure;
use crate::settings::{self, OnEntityError};

/// The maximum number of warnings that a session remembers.
const MAX_REMEMBERED: usize = 1024;

/// A part of a watch that failed.
pub struct Misfit {
    /// `condition`, `entity`, `tenant`
    pub part: &'static str,
    pub failure: Failure,
    pub effect: Effect,
}

/// What becomes of an event of which a part failed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    Kept,
    SentThin,
}

thread_local! {
    /// What this session has warned about: trigger, version of the table, part, error.
    static WARNED: RefCell<HashSet<(pg_sys::Oid, u64, &'static str, String)>> = RefCell::default();
}

/// Returns whether this is to be reported now: the first time in this session.
fn is_new(trigger: pg_sys::Oid, version: u64, part: &'static str, error: String) -> bool {
    WARNED.with_borrow_mut(|warned| {
        if warned.len() >= MAX_REMEMBERED {
            warned.clear();
        }
        warned.insert((trigger, version, part, error))
    })
}

impl Misfit {
    /// Warns, unless this session has done so before. With `on_entity_error = error`, an error that is not one of the
    /// data fails the statement. (The caller fails it for an error of the data, when the entity cannot be sent.)
    pub fn report(&self, trigger: pg_sys::Oid, version: u64, definition: &Definition<&str>, table: Table) {
        let is_misfit = self.failure.is_of_syntax_or_access();
        let fails = is_misfit && settings::on_entity_error() == OnEntityError::Error;
        if fails || is_new(trigger, version, self.part, self.failure.sqlstate()) {
            let verb = if is_misfit { "is not valid" } else { "failed" };
            let level = if fails { PgLogLevel::ERROR } else { PgLogLevel::WARNING };
            self.say(level, verb, definition, table);
        }
    }

    fn say(&self, level: PgLogLevel, verb: &str, definition: &Definition<&str>, table: Table) {
        let (part, event, name) = (self.part, definition.event, table.name());
        let text = definition.expressions.each().find_map(|(name, text)| (name == part).then_some(*text));
        let effect = match self.effect {
            _ if level == PgLogLevel::ERROR => "hydra_webhooks.on_entity_error is error, so the statement fails.",
            Effect::Kept => "Its events are kept in hydra.webhook_kept and are not sent.",
            Effect::SentThin => "Its events are sent without their entity.",
        };
        let message = self.failure.message.trim_end_matches('.');
        ErrorReport::new(
            self.failure.code,
            format!("the {part} expression of the watch of {event} on {name} {verb}: {message}"),
            "hydra_webhooks",
        )
        .set_detail(format!("The expression: {}. {effect}", text.unwrap_or_default()))
        .set_hint(correction(event, &name))
        .report(level);
    }
}

/// Warns once in a session that the watch of `event` has an argument with a column that does not exist. `argument` is the
/// name of the argument.
pub fn report_missing_column(trigger: pg_sys::Oid, argument: &'static str, column: &str, event: &str, table: Table) {
    if !is_new(trigger, table.version(), argument, column.to_owned()) {
        return;
    }
    let name = table.name();
    let effect = match argument {
        "only" => "The other columns that it names are sent.",
        "except" => "If it has another name now, it is sent.",
        _ => "The watch goes on with its other columns.",
    };
    ErrorReport::new(
        PgSqlErrorCode::ERRCODE_UNDEFINED_COLUMN,
        format!("the watch of {event} on {name} names a column that does not exist"),
        "hydra_webhooks",
    )
    .set_detail(format!("The column: {column}. {effect}"))
    .set_hint(correction(event, &name))
    .report(PgLogLevel::WARNING);
}

/// Warns once in a session that none of the columns whose updates the watch of `event` is for exists. It has these.
pub fn report_no_column(trigger: pg_sys::Oid, columns: &[&str], event: &str, table: Table) {
    let columns = columns.join(", ");
    if !is_new(trigger, table.version(), "columns", columns.clone()) {
        return;
    }
    let name = table.name();
    ErrorReport::new(
        PgSqlErrorCode::ERRCODE_UNDEFINED_COLUMN,
        format!("the watch of {event} on {name} is for updates of columns that do not exist"),
        "hydra_webhooks",
    )
    .set_detail(format!("Its columns: {columns}. No update emits."))
    .set_hint(correction(event, &name))
    .report(PgLogLevel::WARNING);
}

/// Returns what to do about a watch that does not fit.
pub fn correction(event: &str, table: &str) -> String {
    let [table, event] = [table, event].map(pgrx::spi::quote_literal);
    format!(
        "Correct it and call hydra.webhook_watch({table}, {event}, …) again, or end the watch: SELECT hydra.webhook_unwatch({table}, {event});"
    )
}
