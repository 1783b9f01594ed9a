//! `webhook_emit_row`: emits the event of one row.

use pgrx::prelude::*;

use super::{Level, TriggerCall, operation};
use crate::emit::entity::{Change, Row, VirtualColumns};

/// Trigger function: emits the row, with the event type that is the first argument of the trigger.
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

/// Returns the change that the trigger was called for. It is valid while the trigger runs.
fn changed_row(call: &TriggerCall<'_>) -> Change {
    let data = call.data;
    // SAFETY: Postgres keeps the tuples and the relation for as long as the trigger runs.
    let columns = unsafe { VirtualColumns::of(data.tg_relation) };
    // SAFETY: as above.
    let row = |tuple| Some(unsafe { Row::new(tuple, call.row_descriptor(), &columns) });
    match operation(data) {
        pg_sys::TRIGGER_EVENT_INSERT => Change { old: None, new: row(data.tg_trigtuple) },
        pg_sys::TRIGGER_EVENT_UPDATE => Change { old: row(data.tg_trigtuple), new: row(data.tg_newtuple) },
        _ => Change { old: row(data.tg_trigtuple), new: None },
    }
}
