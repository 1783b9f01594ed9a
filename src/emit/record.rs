//! Writes events for the subscriptions that want them.

use pgrx::prelude::*;

use super::cache::EventTypes;
use super::entity::{Problem, RenderOptions, RenderResult};
use super::insert::{EventTable, NewEvent, Reported};
use super::max_pending;
use super::wanted::EventType;
use crate::backend::refuse::refuse;
use crate::settings::{self, OnEntityError};
use crate::slots::wake;

/// Writes the event, unless nobody wants it or too many events wait. Returns its id if it was written. If `tenant` is
/// `None`, the event gets the tenant of the entity.
pub fn emit(
    event_types: &EventTypes,
    event_type: &EventType,
    tenant: Option<String>,
    entity: RenderResult,
) -> Option<i64> {
    fault::point("emit");
    insert_all(event_types, wanted_event(event_type, None, tenant, entity).into_iter())
}

/// Writes an event for each of these entities, as [`emit`] does for one.
pub fn emit_all(event_types: &EventTypes, event_type: &EventType, reported: Reported<'_>, entities: Vec<RenderResult>) {
    fault::point("emit");
    let event = |entity| wanted_event(event_type, Some(reported), None, entity);
    insert_all(event_types, entities.into_iter().filter_map(event));
}

/// Returns how entities of this type are rendered.
pub fn render_options(event_type: &EventType) -> RenderOptions<'_> {
    RenderOptions { id_key: &event_type.id_key, limit: settings::max_entity_size(), columns: None, previous: false }
}

/// Fails in a read-only transaction.
pub fn refuse_read_only() {
    // SAFETY: a flag of this backend; the function raises an error.
    unsafe {
        if pg_sys::XactReadOnly {
            pg_sys::PreventCommandIfReadOnly(c"webhook_emit()".as_ptr());
        }
    }
}

/// Returns the event to be written; `None` if nobody wants it or too many events wait.
fn wanted_event<'a>(
    event_type: &'a EventType,
    reported: Option<Reported<'a>>,
    tenant: Option<String>,
    entity: RenderResult,
) -> Option<NewEvent<'a>> {
    let (mut rendered, problem) = match entity {
        Ok(rendered) => (rendered, None),
        Err(unsendable) => {
            refuse_if_set_to(&event_type.name, "entity", &unsendable.problem);
            (*unsendable.rest, Some(unsendable.problem))
        }
    };
    if let Some(Err(problem)) = &rendered.previous {
        refuse_if_set_to(&event_type.name, "row before the change", problem);
    }
    let tenant_id = tenant.or(rendered.tenant_id.take());
    let entity = problem.is_none().then_some(rendered.text.as_str());
    let targets = event_type.wanted_by(tenant_id.as_deref(), entity);
    let targets = max_pending::with_room(&event_type.name, targets);
    (!targets.is_empty()).then_some(NewEvent { event_type, reported, rendered, tenant_id, problem, targets })
}

/// Fails if `hydra_webhooks.on_entity_error` is `error`.
fn refuse_if_set_to(event: &str, part: &str, problem: &Problem) {
    if settings::on_entity_error() == OnEntityError::Error {
        refuse(
            PgSqlErrorCode::ERRCODE_PROGRAM_LIMIT_EXCEEDED,
            format!("{part} of event \"{event}\" cannot be sent"),
            &format!("The {part} {problem}."),
            "With hydra_webhooks.on_entity_error = thin the event is sent without it.",
        );
    }
}

/// Inserts the events, and returns the id of the last one.
fn insert_all<'a>(event_types: &EventTypes, events: impl Iterator<Item = NewEvent<'a>>) -> Option<i64> {
    let mut events = events.peekable();
    events.peek()?;
    let table = EventTable::open(event_types);
    let last = events.map(|event| table.insert(&event)).last();
    table.close();
    wake::at_commit();
    last.flatten()
}
