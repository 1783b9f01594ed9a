//! Emits events. An event is one row, written in the transaction of the caller.
//!
//! Each module uses only those below it:
//!
//! | module | what it does |
//! |---|---|
//! | `trigger` | has the trigger functions `webhook_emit_row` and `webhook_emit_statement` |
//! | `watch` | parses the arguments of a trigger, and evaluates the SQL expressions in them |
//! | `record` | writes events for the subscriptions that want them |
//! | `kept` | keeps events of watches that no longer fit |
//! | `insert` | inserts the row of an event into `hydra.event` |
//! | `max_pending` | limits how many events and deliveries may wait |
//! | `cache` | keeps event types and subscriptions in the memory of a session |
//! | `as_made` | finds out whether `hydra.event` is as the extension made it |
//! | `wanted`, `filter` | find the subscriptions that want an event |
//! | `spending` | limits the time that filters take together |
//! | `representation` | renders a row for those who read it over HTTP |
//! | `errors` | counts the events of a watch that were kept, or sent without their entity |
//! | `entity` | renders an entity as JSON text |

mod as_made;
mod cache;
mod entity;
mod errors;
mod filter;
mod insert;
mod kept;
mod max_pending;
mod record;
mod representation;
mod spending;
mod trigger;
mod wanted;
mod watch;

use std::ffi::CString;

use pgrx::prelude::*;
use pgrx::{AnyElement, FromDatum};

use crate::backend::refuse::refuse;
use crate::settings;
pub use entity::RawJsonb;
use entity::{MAX_ID_BYTES, Rendered};

pub use filter::Filter;
pub use representation::{Columns, MAX_BYTES as MAX_REPRESENTATION, representation};
pub use watch::renames::follow as follow_rename;

/// Writes one event if at least one active subscription wants it. Returns the id of the event, or null if none was
/// written.
#[pg_extern]
fn webhook_emit(
    event: Option<&str>,
    entity: Option<RawJsonb>,
    tenant_id: default!(Option<&str>, "NULL"),
) -> Option<i64> {
    record::refuse_read_only();
    refuse_long_tenant(tenant_id);
    if event.is_some_and(cache::nobody_wants) {
        return None;
    }
    let event_types = cache::event_types();
    let event_type = event_types.get(event);
    // Only the type is checked here. Whether a subscription wants this event may depend on the tenant, which may have
    // to be found in the entity.
    if !event_type.is_wanted() || !settings::emit() {
        return None;
    }
    let rendered = match &entity {
        Some(entity) => entity.render(record::render_options(&event_type)),
        None => Ok(Rendered { text: "null".into(), ..Rendered::default() }),
    };
    record::emit(&event_types, &event_type, tenant_id.map(str::to_owned), rendered)
}

/// What is registered of an event type.
pub struct Described {
    pub entity_type: String,
    pub id_key: String,
}

/// Returns what is registered of an event type; `None` if it cannot be emitted.
pub fn describe(event: &str) -> Option<Described> {
    let event_types = cache::event_types();
    let known = event_types.find(event)?;
    Some(Described { entity_type: known.entity_type.clone(), id_key: known.id_key.clone() })
}

/// Returns JSON as `jsonb`; fails if it cannot be.
pub fn jsonb(json: &str) -> RawJsonb {
    let text = CString::new(json).expect("JSON has no NUL");
    // SAFETY: the function takes a C string and returns a jsonb.
    unsafe {
        let value = pgrx::direct_function_call_as_datum(pg_sys::jsonb_in, &[Some(text.as_ptr().into())]);
        RawJsonb::from_polymorphic_datum(value.expect("not null"), false, pg_sys::JSONBOID).expect("not null")
    }
}

/// Emits an event that another system has sent. Its entity is JSON. Its tenant is not looked for in the entity, which the
/// other system has made.
pub fn emit_inbound(event: &str, entity: &str, entity_id: Option<&str>, tenant_id: Option<&str>) -> Option<i64> {
    if cache::nobody_wants(event) {
        return None;
    }
    let event_types = cache::event_types();
    let event_type = event_types.get(Some(event));
    if !event_type.is_wanted() || !settings::emit() {
        return None;
    }
    let mut rendered = jsonb(entity).render(record::render_options(&event_type));
    let parts = match &mut rendered {
        Ok(rendered) => rendered,
        Err(unsendable) => &mut unsendable.rest,
    };
    parts.tenant_id = None;
    if let Some(entity_id) = entity_id {
        parts.entity_id = Some(entity_id.to_owned());
    }
    record::emit(&event_types, &event_type, tenant_id.map(str::to_owned), rendered)
}

/// Fails if the tenant is longer than a tenant that is found in an entity can be.
fn refuse_long_tenant(tenant_id: Option<&str>) {
    if let Some(length) = tenant_id.map(str::len).filter(|length| *length > MAX_ID_BYTES) {
        refuse(
            PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE,
            "tenant_id is too long",
            &format!("It has {length} bytes; a tenant has at most {MAX_ID_BYTES}."),
            "Use a short key of the tenant, and put other data into the entity.",
        );
    }
}

/// Fails if this event type cannot be emitted.
#[pg_extern]
fn _check_event_type(event: Option<&str>) {
    cache::event_types().get(event);
}

/// Returns the `id_key` of an event type. Fails if it cannot be emitted.
#[pg_extern]
fn _id_key(event: &str) -> String {
    cache::event_types().get(Some(event)).id_key.clone()
}

/// Returns the representation of a composite value. Only superusers may call it; requests call [`representation`].
#[pg_extern(stable, strict)]
fn _representation(entity: AnyElement, columns: Vec<Option<String>>) -> String {
    // SAFETY: a type.
    let is_composite = unsafe { pg_sys::type_is_rowtype(entity.oid()) };
    if !is_composite {
        refuse(
            PgSqlErrorCode::ERRCODE_DATATYPE_MISMATCH,
            "a value without columns has no representation",
            "It is not a composite value.",
            "Pass a row, as in SELECT hydra._representation(t, '{id}') FROM tickets AS t.",
        );
    }
    let columns: Vec<String> = columns.into_iter().flatten().collect();
    // SAFETY: a composite value.
    unsafe { representation(entity.datum(), &Columns::new(&columns)) }.unwrap_or_else(|| {
        refuse(
            PgSqlErrorCode::ERRCODE_PROGRAM_LIMIT_EXCEEDED,
            "a row is too large to be shown",
            &format!("Its text has more than {} MB.", MAX_REPRESENTATION >> 20),
            "Show fewer of its columns.",
        )
    })
}
