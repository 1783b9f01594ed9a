//! `webhook_emit_statement`: emits the events of all rows of a statement, for bulk changes.
//!
//! The trigger fires once. It finds out once who wants the event, and reads the rows in chunks: one query evaluates the
//! expressions of a chunk, and its events are written in the order of the rows. The events are the same as those of a
//! trigger FOR EACH ROW.

use pgrx::memcxt::PgMemoryContexts;
use pgrx::prelude::*;

use super::transition::TransitionRows;
use super::{Emitter, Level, TriggerCall};

/// Trigger function: emits all rows of a statement, from its transition tables.
#[pg_trigger]
fn webhook_emit_statement<'a>(
    trigger: &'a PgTrigger<'a>,
) -> Result<Option<PgHeapTuple<'a, AllocatedByPostgres>>, PgTriggerError> {
    let call = TriggerCall::new(trigger, Level::Statement);
    if let Some(emitter) = call.emitter() {
        emit_in_chunks(&emitter, TransitionRows::open(&call));
    }
    Ok(None)
}

/// Emits the events in a memory context that is reset after each chunk, so that memory is bounded by the size of a
/// chunk.
fn emit_in_chunks(emitter: &Emitter<'_>, mut rows: TransitionRows) {
    let mut memory = PgMemoryContexts::new("hydra_webhooks chunk");
    let mut more = true;
    while more {
        // SAFETY: nothing that is allocated in the context is used after the reset.
        unsafe {
            more = memory.switch_to(|_| {
                let changes = rows.next_chunk();
                if !changes.is_empty() {
                    emitter.emit(&changes);
                }
                !changes.is_empty()
            });
            memory.reset();
        }
    }
}
