//! Runs something for real, collects its effects, and undoes them: its result, the rows that were written, the webhooks
//! that would be sent, and the notices. What was confirmed runs in the same way, and is kept if its effects are those that
//! were shown.
//!
//! It is a subtransaction that is rolled back. Before that, deferred constraints are checked, as a commit would. What is
//! not undone: sequences go on, and what happens outside of the transaction. Functions of the extension that act at once,
//! such as `webhook_send_test`, refuse to be rehearsed.
//!
//! Rows are counted by the statistics of Postgres, which also count rows of savepoints that were rolled back: the counts
//! are at most too high.

use std::cell::Cell;
use std::time::SystemTime;

use pgrx::JsonB;
use pgrx::pg_sys::panic::CaughtError;
use pgrx::prelude::*;
use serde_json::{Value, json};
use wire::event::Event;
use wire::preset::Preset;

use super::{identity, session, sql};
use crate::backend::notices;
use crate::backend::refuse::refuse;
use crate::backend::subtransaction::{attempt_if, in_subtransaction};
use crate::emit::RawJsonb;
use crate::store::{Row, columns};
use crate::tables;

columns!(WebhookColumns {
    event_id,
    event_type,
    entity_type,
    entity_id,
    tenant_id,
    entity,
    entity_error,
    previous,
    emitted_at,
    subscription_id,
    name,
    url,
    preset,
    webhook_count,
});

const TOUCHED: &str = include_str!("../../sql/queries/count_touched_rows.sql");
const DIFFERENCE: &str = include_str!("../../sql/queries/compare_touched_rows.sql");
const WEBHOOKS: &str = include_str!("../../sql/queries/rehearsed_webhooks.sql");
const FUNCTION: &str = include_str!("../../sql/queries/find_rehearsed_function.sql");

thread_local! {
    static IS_RUNNING: Cell<bool> = const { Cell::new(false) };
}

/// What was done besides returning a result.
pub struct Effects {
    /// For each table how many rows were inserted, updated and deleted.
    pub tables: Value,
    pub webhooks: Vec<Webhook>,
    /// How many there are; at most 100 of them are listed.
    pub webhook_count: i64,
    pub notices: Vec<Value>,
}

/// A request that is made for an event.
pub struct Webhook {
    pub shown: Value,
    /// The body that it would have if the event had been emitted at the beginning of time. It is the same in each run.
    pub timeless_body: String,
}

/// Runs `body`, and returns its result and its effects. Everything that it did is undone.
pub fn rehearse<T>(body: impl FnOnce() -> T) -> Result<(T, Effects), Box<CaughtError>> {
    struct Running(bool);
    impl Drop for Running {
        fn drop(&mut self) {
            IS_RUNNING.set(self.0);
        }
    }
    let _running = Running(IS_RUNNING.replace(true));
    run(body, |_, _| false)
}

/// Runs `body`, and returns its result and its effects. What it did is undone unless `is_kept` says that it stays.
pub fn run<T>(
    body: impl FnOnce() -> T,
    is_kept: impl FnOnce(&T, &Effects) -> bool,
) -> Result<(T, Effects), Box<CaughtError>> {
    let collect = || {
        let earlier = tables::as_owner(own_events);
        let before = sql::json(TOUCHED, &[]);
        let (result, notices) = notices::collect(|| {
            let result = body();
            identity::fire_deferred();
            result
        });
        let tables = sql::json(DIFFERENCE, &[JsonB(before).into(), JsonB(sql::json(TOUCHED, &[])).into()]);
        let (webhooks, webhook_count) = tables::as_owner(|| webhooks(earlier));
        (result, Effects { tables, webhooks, webhook_count, notices })
    };
    attempt_if(|| session::with_settings_restored(collect), |(result, effects)| is_kept(result, effects))
}

/// Fails if a rehearsal is running: `what` could not be undone.
pub fn refuse_in_rehearsal(what: &str) {
    if IS_RUNNING.get() {
        refuse(
            PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
            format!("{what} cannot be rehearsed"),
            "It takes effect at once, and a rollback does not undo it.",
            "Call it without a rehearsal.",
        );
    }
}

/// Returns the ids of the events that this transaction has emitted.
fn own_events() -> Vec<i64> {
    const OWN: &str = "SELECT e.id FROM hydra.event AS e WHERE e.xid = pg_catalog.pg_current_xact_id_if_assigned()";
    sql::rows(OWN, &[], |row| row.first()).into_iter().flatten().collect()
}

/// Returns the requests that would be made for the events that this transaction has emitted since then, and how many there are.
fn webhooks(earlier: Vec<i64>) -> (Vec<Webhook>, i64) {
    sql::all(WEBHOOKS, &[earlier.into()], |rows| {
        let columns = WebhookColumns::of(&rows);
        let mut count = 0;
        let webhooks = rows.map(|row| {
            count = row.value(columns.webhook_count);
            webhook(&row, &columns)
        });
        (webhooks.collect(), count)
    })
}

fn webhook(row: &Row<'_>, columns: &WebhookColumns) -> Webhook {
    let preset = Preset::parse(row.text(columns.preset)).expect("a preset of hydra.preset");
    let mut event = Event {
        event_type: row.text(columns.event_type).into(),
        entity_type: row.text(columns.entity_type).into(),
        entity_id: row.maybe_text(columns.entity_id).map(Into::into),
        tenant_id: row.maybe_text(columns.tenant_id).map(Into::into),
        entity: row.maybe(columns.entity),
        entity_error: row.maybe(columns.entity_error),
        previous: row.maybe(columns.previous),
        emitted_at: row.time(columns.emitted_at).expect("a time that is not null"),
    };
    let (event_id, subscription_id): (i64, i64) = (row.value(columns.event_id), row.value(columns.subscription_id));
    let shown = json!({
        "event": &*event.event_type,
        "event_id": event_id,
        "subscription_id": subscription_id,
        "name": row.maybe_text(columns.name),
        "url": row.text(columns.url),
        "body": &*preset.body(&event),
    });
    event.emitted_at = SystemTime::UNIX_EPOCH;
    Webhook { shown, timeless_body: preset.body(&event).to_string() }
}

impl Effects {
    pub fn into_json(self) -> Value {
        let webhooks: Vec<Value> = self.webhooks.into_iter().map(|webhook| webhook.shown).collect();
        json!({"tables": self.tables, "webhooks": webhooks, "notices": self.notices})
    }
}

/// Calls a function with one argument of type jsonb, returns its result and its effects, and undoes them.
#[pg_extern(name = "rehearse")]
fn rehearse_function(function: Option<&str>, arguments: default!(Option<RawJsonb>, "'{}'")) -> JsonB {
    // The name is looked up as the caller, and the statement made as the owner of the view.
    let find = || {
        let found = sql::one::<pg_sys::Oid>("SELECT pg_catalog.to_regprocedure($1)::oid", &[function.into()])?;
        tables::as_owner(|| sql::one::<String>(FUNCTION, &[found.into()]))
    };
    // An error in the name is that there is no such function, too.
    let called = in_subtransaction(find).ok().flatten().unwrap_or_else(|| {
        refuse(
            PgSqlErrorCode::ERRCODE_UNDEFINED_FUNCTION,
            format!("there is no function {}", function.unwrap_or("null")),
            "A rehearsal calls a function that has one argument of type jsonb.",
            "Pass its name and the type of its argument, such as 'public.close_ticket(jsonb)'.",
        )
    });
    let arguments = arguments.map(|arguments| arguments.value());
    let call = || sql::json(&called, &[arguments.clone().map(JsonB).into()]);
    let (result, effects) = rehearse(call).unwrap_or_else(|error| error.rethrow());
    let mut whole = effects.into_json();
    whole["result"] = result;
    JsonB(whole)
}
