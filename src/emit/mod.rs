//! Emitting an event: one row, in the transaction of the caller.
//!
//! | file | idea |
//! |---|---|
//! | `known` | what a backend knows of event types and who wants them |
//! | `entity` | an entity as JSON text, capped while it is made |
//! | `row` | the row of a trigger as an entity |
//! | `insert` | the event's row in its table |
//!
//! Entities are rendered as the caller, because rendering runs the caller's own code: a cast to json, an output
//! function. What is written is text that is rendered already, and no code of anybody's runs while it is.
//!
//! A payload never breaks the caller's transaction: an entity that cannot be sent is left out, and the event says why.

mod entity;
mod insert;
mod known;
mod row;

use pgrx::prelude::*;

use crate::refuse::refuse;
use crate::settings::{self, OnEntityError};
use crate::wake;
use entity::RawJsonb;
use entity::Rendered;
use insert::{NewEvent, insert};
pub use known::as_owner;
use known::{EventType, Known};

/// Writes an event for every active subscription that wants it; its id, or null when nobody does.
#[pg_extern]
fn webhook_emit(
    event: Option<&str>,
    entity: Option<RawJsonb>,
    tenant_id: default!(Option<&str>, "NULL"),
) -> Option<i64> {
    refuse_read_only();
    let known = known::current();
    let event_type = known.event_type(event);
    // Who wants it may depend on the tenant, which may have to be found in the entity.
    if event_type.targets.is_empty() {
        return None;
    }
    let rendered = match &entity {
        Some(entity) => entity.render(&event_type.id_key, settings::max_entity_size()),
        None => Ok(Rendered { text: "null".into(), ..Rendered::default() }),
    };
    emit(&known, &event_type, tenant_id.map(str::to_owned), rendered)
}

/// Trigger function: emits the row as the event type that the trigger names.
#[pg_trigger]
fn webhook_emit_row<'a>(
    trigger: &'a PgTrigger<'a>,
) -> Result<Option<PgHeapTuple<'a, AllocatedByPostgres>>, PgTriggerError> {
    refuse_read_only();
    let event = row::event_of(trigger);
    let known = known::current();
    let event_type = known.event_type(Some(&event));
    if !event_type.targets.is_empty() {
        let rendered = row::render(trigger, &event_type.id_key, settings::max_entity_size());
        emit(&known, &event_type, None, rendered);
    }
    Ok(None)
}

fn emit(
    known: &Known,
    event_type: &EventType,
    tenant_id: Option<String>,
    rendered: Result<Rendered, entity::Unsendable>,
) -> Option<i64> {
    let (rendered, problem) = match rendered {
        Ok(rendered) => (rendered, None),
        Err(unsendable) => {
            unsendable.refuse_if_told(&event_type.name);
            (unsendable.rest, Some(unsendable.problem))
        }
    };
    let tenant_id = tenant_id.or(rendered.tenant_id);
    let targets = event_type.targets_for(tenant_id.as_deref());
    if targets.is_empty() {
        return None;
    }
    let id = insert(
        &known.tables,
        &NewEvent {
            event_type: &event_type.name,
            entity_type: &event_type.entity_type,
            entity_id: rendered.entity_id.as_deref(),
            tenant_id: tenant_id.as_deref(),
            entity: problem.as_deref().map_or(Ok(&rendered.text), Err),
            targets: &targets,
        },
    );
    wake::at_commit();
    id
}

#[allow(unsafe_code)]
fn refuse_read_only() {
    // SAFETY: raises an error or does nothing.
    unsafe { pg_sys::PreventCommandIfReadOnly(c"webhook_emit()".as_ptr()) };
}

impl entity::Unsendable {
    fn refuse_if_told(&self, event: &str) {
        if settings::on_entity_error() == OnEntityError::Error {
            refuse(
                PgSqlErrorCode::ERRCODE_PROGRAM_LIMIT_EXCEEDED,
                format!("entity of event \"{event}\" cannot be sent"),
                &format!("Because {}.", self.problem),
                "With hydra_webhooks.on_entity_error = thin the event is sent without it.",
            );
        }
    }
}
