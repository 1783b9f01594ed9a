//! SQL functions that need the role of their caller, which a SECURITY DEFINER function does not see.

use pgrx::JsonB;
use pgrx::datum::Interval;
use pgrx::prelude::*;

use crate::backend::refuse::refuse;
use crate::emit::Filter;
use crate::tables;

/// Creates a flow in testing. Returns its id.
#[pg_extern]
#[search_path(pg_catalog, pg_temp)]
fn flow_create(
    name: Option<&str>,
    event: Option<&str>,
    function: Option<&str>,
    filter: default!(Option<Filter>, "NULL"),
    timeout: default!(Option<Interval>, "NULL"),
    tenant_id: default!(Option<&str>, "NULL"),
) -> i64 {
    const INSERT: &str = "SELECT hydra._insert_flow($1, $2, $3, $4, $5, $6, $7)";
    let args = [
        tables::current_role().into(),
        name.into(),
        event.into(),
        function.into(),
        filter.into(),
        timeout.into(),
        tenant_id.into(),
    ];
    tables::as_owner(|| Spi::get_one_with_args::<i64>(INSERT, &args)).expect("SPI writes").expect("an id")
}

/// Lets a flow run for each event that it wants.
#[pg_extern]
#[search_path(pg_catalog, pg_temp)]
fn flow_deploy(id: Option<i64>) {
    set_state(id, "deployed");
}

/// Lets a flow be rehearsed for each event that it wants.
#[pg_extern]
#[search_path(pg_catalog, pg_temp)]
fn flow_test(id: Option<i64>) {
    set_state(id, "testing");
}

fn set_state(id: Option<i64>, state: &str) {
    const SET: &str = "SELECT hydra._set_flow_state($1, $2, $3)";
    let args = [tables::current_role().into(), id.into(), state.into()];
    tables::as_owner(|| Spi::run_with_args(SET, &args)).expect("SPI writes");
}

/// Returns whether an entity passes the filter of a flow. Fails if that cannot be found out.
#[pg_extern(stable, cost = 1000)]
fn _flow_filter_passes(filter: Option<Filter>, entity: Option<JsonB>) -> bool {
    let Some(filter) = filter else { return true };
    let entity = entity.map_or_else(|| "null".to_owned(), |entity| entity.0.to_string());
    filter.judges(&entity).unwrap_or_else(|failure| {
        refuse(
            PgSqlErrorCode::ERRCODE_PROGRAM_LIMIT_EXCEEDED,
            format!("the filter of the flow failed: {}", failure.message),
            "An event with this entity would fail.",
            "Delete the flow, and create it with another filter.",
        )
    })
}
