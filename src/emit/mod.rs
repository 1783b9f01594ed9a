//! Emitting an event: one row, in the transaction of the caller.
//!
//! Each module uses only those below it:
//!
//! | module | what it is about |
//! |---|---|
//! | `trigger` | the trigger functions `webhook_emit_row` and `webhook_emit_statement` |
//! | `watch` | what a trigger says about its events, and evaluating the SQL expressions in it |
//! | `record` | writing events for the subscriptions that want them |
//! | `insert` | the row of an event in its table |
//! | `max_pending` | how much may wait |
//! | `cache` | what a session keeps in memory of event types and subscriptions |
//! | `wanted`, `filter` | which subscriptions want an event |
//! | `entity` | an entity as JSON text |

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

use entity::{RawJsonb, Rendered};

/// Writes an event for every active subscription that wants it; its id, or null when nobody does.
#[pg_extern]
fn webhook_emit(
    event: Option<&str>,
    entity: Option<RawJsonb>,
    tenant_id: default!(Option<&str>, "NULL"),
) -> Option<i64> {
    record::refuse_read_only();
    if event.is_some_and(cache::nobody_wants) {
        return None;
    }
    let event_types = cache::event_types();
    let event_type = event_types.get(event);
    // Who wants it may depend on the tenant, which may have to be found in the entity.
    if !event_type.is_wanted() {
        return None;
    }
    let rendered = match &entity {
        Some(entity) => entity.render(record::render_options(&event_type)),
        None => Ok(Rendered { text: "null".into(), ..Rendered::default() }),
    };
    record::emit(&event_types.tables, &event_type, tenant_id.map(str::to_owned), rendered)
}

/// Refuses an event type that cannot be emitted.
#[pg_extern]
fn _check_event_type(event: Option<&str>) {
    cache::event_types().get(event);
}
