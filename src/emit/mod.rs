//! Emits events. An event is one row, written in the transaction of the caller.
//!
//! Each module uses only those below it:
//!
//! | module | what it does |
//! |---|---|
//! | `trigger` | has the trigger functions `webhook_emit_row` and `webhook_emit_statement` |
//! | `watch` | parses the arguments of a trigger, and evaluates the SQL expressions in them |
//! | `record` | writes events for the subscriptions that want them |
//! | `insert` | inserts the row of an event into `hydra.event` |
//! | `max_pending` | limits how many events and deliveries may wait |
//! | `cache` | keeps event types and subscriptions in the memory of a session |
//! | `as_made` | finds out whether `hydra.event` is as the extension made it |
//! | `wanted`, `filter` | find the subscriptions that want an event |
//! | `entity` | renders an entity as JSON text |

mod as_made;
mod cache;
mod entity;
mod filter;
mod insert;
mod max_pending;
mod record;
mod trigger;
mod wanted;
mod watch;

use pgrx::prelude::*;

use crate::backend::refuse::refuse;
use entity::{MAX_ID_BYTES, RawJsonb, Rendered};

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
    if !event_type.is_wanted() {
        return None;
    }
    let rendered = match &entity {
        Some(entity) => entity.render(record::render_options(&event_type)),
        None => Ok(Rendered { text: "null".into(), ..Rendered::default() }),
    };
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
