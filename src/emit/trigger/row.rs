//! The event of one row.

use pgrx::prelude::*;

use super::{Level, TriggerCall, operation};
use crate::emit::entity::{Change, Row};

/// Trigger function: emits the row as the event type that the trigger names.
#[pg_trigger]
fn webhook_emit_row<'a>(
    trigger: &'a PgTrigger<'a>,
) -> Result<Option<PgHeapTuple<'a, AllocatedByPostgres>>, PgTriggerError> {
    let call = TriggerCall::new(trigger, Level::Row);
    if let Some(emitter) = call.emitter() {
        emitter.emit(&[changed_row(&call)]);
    }
    Ok(None)
}

/// Valid for as long as the trigger runs.
fn changed_row(call: &TriggerCall<'_>) -> Change {
    // SAFETY: Postgres keeps the tuples and the relation for as long as the trigger runs.
    let row = |tuple| Some(unsafe { Row::new(tuple, call.row_descriptor()) });
    let data = call.data;
    match operation(data) {
        pg_sys::TRIGGER_EVENT_INSERT => Change { old: None, new: row(data.tg_trigtuple) },
        pg_sys::TRIGGER_EVENT_UPDATE => Change { old: row(data.tg_trigtuple), new: row(data.tg_newtuple) },
        _ => Change { old: row(data.tg_trigtuple), new: None },
    }
}
