//! Keeps events of watches that no longer fit.
//!
//! If the condition cannot be evaluated, it is not known whether the event is to be sent; if the tenant cannot be
//! determined, not to whom. Sending it could be wrong, and dropping it could lose it. So it becomes a row of
//! `hydra.kept_event`, which `hydra.webhook_kept` shows and `hydra.webhook_send_kept` sends.

use std::cell::Cell;
use std::ffi::CStr;

use pgrx::IntoDatum;
use pgrx::prelude::*;

use super::cache::EventTypes;
use super::entity::RenderResult;
use super::insert::Reported;
use super::max_pending;
use super::wanted::EventType;
use super::watch::misfit::Misfit;
use super::watch::table::Table;
use crate::backend::search_path::with_search_path;

const INSERT: &CStr =
    c"INSERT INTO hydra.kept_event (event_type, source, part, sqlstate, reason, entity_id, tenant_id, \
                        entity, entity_error, operation, entity_type, previous) \
      VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";
const PARAMETERS: usize = 12;

thread_local! {
    /// The plan of [`INSERT`]. Null until it is needed.
    static PLAN: Cell<pg_sys::SPIPlanPtr> = const { Cell::new(std::ptr::null_mut()) };
}

/// Keeps the event of a change of a table, unless too many events wait.
pub fn keep(
    event_types: &EventTypes,
    event_type: &EventType,
    table: Table,
    reported: Reported<'_>,
    entity: RenderResult,
    misfit: &Misfit,
) {
    if !max_pending::has_room(&event_type.name) {
        return;
    }
    let (rendered, problem) = match entity {
        Ok(rendered) => (rendered, None),
        Err(unsendable) => (*unsendable.rest, Some(unsendable.problem)),
    };
    let previous = reported.previous.then(|| rendered.previous_or_null().to_owned());
    let values = [
        event_type.name.as_str().into_datum(),
        table.name().into_datum(),
        misfit.part.into_datum(),
        misfit.failure.sqlstate().into_datum(),
        misfit.failure.message.as_str().into_datum(),
        rendered.entity_id.into_datum(),
        rendered.tenant_id.into_datum(),
        problem.is_none().then_some(rendered.text).into_datum(),
        problem.map(|problem| format!("the entity {problem}")).into_datum(),
        reported.operation.as_str().into_datum(),
        reported.entity_type.into_datum(),
        previous.into_datum(),
    ];
    event_types.tables.as_owner(|| with_search_path(Some("pg_catalog, pg_temp"), || insert(values)));
}

fn insert(values: [Option<pg_sys::Datum>; PARAMETERS]) {
    let mut datums = values.map(|value| value.unwrap_or(pg_sys::Datum::null()));
    let nulls = values.map(|value| if value.is_none() { b'n' } else { b' ' });
    // SAFETY: values and nulls for all parameters of the plan. After an error, the end of the (sub)transaction
    // disconnects SPI.
    unsafe {
        pg_sys::SPI_connect();
        pg_sys::SPI_execute_plan(plan(), datums.as_mut_ptr(), nulls.as_ptr().cast(), false, 0);
        pg_sys::SPI_finish();
    }
}

/// Returns the plan, which is made at its first use. To be called inside SPI.
unsafe fn plan() -> pg_sys::SPIPlanPtr {
    if PLAN.get().is_null() {
        let mut types = [pg_sys::TEXTOID; PARAMETERS];
        // SAFETY: a C string, and as many types as parameters. Keeping the plan cannot fail.
        let plan = unsafe { pg_sys::SPI_prepare(INSERT.as_ptr(), types.len() as i32, types.as_mut_ptr()) };
        assert!(!plan.is_null(), "SPI prepares an INSERT");
        // SAFETY: a plan that was just made.
        unsafe { pg_sys::SPI_keepplan(plan) };
        PLAN.set(plan);
    }
    PLAN.get()
}
