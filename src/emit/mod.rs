//! Emitting an event: one row, in the transaction of the caller.
//!
//! | file | idea |
//! |---|---|
//! | `known` | what a backend knows of event types and who wants them |
//! | `filter` | which entities a subscription wants |
//! | `entity` | an entity as JSON text, capped while it is made |
//! | `row` | the row of a trigger as an entity |
//! | `limit` | how much may wait |
//! | `insert` | the event's row in its table |
//! | `definition`, `expression` | what a trigger says of its events, and the SQL expressions in it |
//! | `planned`, `plan`, `table`, `search_path` | running these as their author meant them, as the user whose transaction it is |
//! | `statement` | all rows of a statement at a time |
//! | `subtransaction` | running what may fail |
//! | `watch` | what `hydra.webhook_watch` and its view need to know of a trigger |
//!
//! Entities are rendered as the caller, because rendering runs the caller's own code: a cast to json, an output
//! function. What is written is text that is rendered already, as the owner of our tables.
//!
//! A payload never breaks the caller's transaction: an entity that cannot be sent is left out, and the event says why.

mod cache;
mod entity;
mod filter;
mod insert;
mod max_pending;
mod trigger;
pub mod watch;

use pgrx::prelude::*;

use crate::backend::refuse::refuse;
use crate::fault;
use crate::settings::{self, OnEntityError};
use crate::wake;
pub use cache::as_owner;
use cache::{EventType, Known};
use entity::{Change, RawJsonb, Rendered};
use insert::{EventTable, NewEvent};
use trigger::statement::Fired;
use watch::evaluation::{Outcome, Planned, Wish};
use watch::table::Table;

/// Writes an event for every active subscription that wants it; its id, or null when nobody does.
#[pg_extern]
fn webhook_emit(
    event: Option<&str>,
    entity: Option<RawJsonb>,
    tenant_id: default!(Option<&str>, "NULL"),
) -> Option<i64> {
    refuse_read_only();
    if event.is_some_and(cache::nobody_wants) {
        return None;
    }
    let known = cache::current();
    let event_type = known.event_type(event);
    // Who wants it may depend on the tenant, which may have to be found in the entity.
    if !event_type.is_wanted() {
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
    let event = entity::event_of(trigger);
    if cache::nobody_wants(event) {
        return Ok(None);
    }
    let known = cache::current();
    let event_type = known.event_type(Some(event));
    if event_type.is_wanted() {
        let definition = entity::definition_of(trigger);
        let change = Change::of(trigger);
        let wish = Wish { id_key: &event_type.id_key, limit: settings::max_entity_size() };
        let outcome = if definition.expressions.is_empty() {
            change.sent().render(wish.id_key, wish.limit)
        } else {
            let table = Table { oid: trigger.relid()?, has_old: change.old.is_some(), has_new: change.new.is_some() };
            Planned::of(trigger.trigger().tgoid, &definition, table).outcome(&change, wish)
        };
        emit(&known, &event_type, None, outcome);
    }
    Ok(None)
}

/// Trigger function: emits all rows of a statement, from its transition tables.
#[pg_trigger]
fn webhook_emit_statement<'a>(
    trigger: &'a PgTrigger<'a>,
) -> Result<Option<PgHeapTuple<'a, AllocatedByPostgres>>, PgTriggerError> {
    refuse_read_only();
    let fired = Fired::new(trigger);
    let known = cache::current();
    let event_type = known.event_type(Some(&fired.definition.event));
    if event_type.is_wanted() && fired.concerns_columns() {
        fired.emit(&known, &event_type, settings::max_entity_size());
    }
    Ok(None)
}

fn emit(known: &Known, event_type: &EventType, tenant_id: Option<String>, outcome: Outcome) -> Option<i64> {
    fault::point("emit");
    let event = wanted_event(event_type, tenant_id, outcome)?;
    let table = EventTable::open(known);
    let id = table.insert(&event);
    table.close();
    wake::at_commit();
    id
}

/// `None` if nobody wants it, or too many wait.
fn wanted_event(event_type: &EventType, tenant_id: Option<String>, outcome: Outcome) -> Option<NewEvent<'_>> {
    let (mut rendered, problem) = thin_or_refused(outcome, event_type);
    let tenant_id = tenant_id.or(rendered.tenant_id.take());
    let entity = problem.is_none().then_some(rendered.text.as_str());
    let targets = event_type.targets_for(tenant_id.as_deref(), entity);
    (!targets.is_empty() && max_pending::has_room(&event_type.name)).then_some(NewEvent {
        event_type,
        rendered,
        tenant_id,
        problem,
        targets,
    })
}

/// What is sent of an entity, and why it is not all.
fn thin_or_refused(outcome: Outcome, event_type: &EventType) -> (Rendered, Option<String>) {
    match outcome {
        Ok(rendered) => (rendered, None),
        Err(unsendable) => {
            unsendable.refuse_if_told(&event_type.name);
            (unsendable.rest, Some(unsendable.problem))
        }
    }
}

fn refuse_read_only() {
    // SAFETY: a flag of this backend; then raises an error.
    unsafe {
        if pg_sys::XactReadOnly {
            pg_sys::PreventCommandIfReadOnly(c"webhook_emit()".as_ptr());
        }
    }
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
