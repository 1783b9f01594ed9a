//! Finds the flows that listen to an event type.

use std::time::Duration;

use pgrx::prelude::*;

use crate::backend::refuse::refuse;
use crate::emit::Filter;
use crate::store::{Row, Rows, Statement, columns};

columns!(Columns { flow_id, name, state, filter, is_for_tenant, timeout_ms, owner, call, refusal });

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Testing,
    Deployed,
    Paused,
}

pub struct Flow {
    pub id: i64,
    pub name: String,
    pub state: State,
    pub is_for_tenant: bool,
    pub timeout: Duration,
    /// The role that it acts as.
    pub owner: pg_sys::Oid,
    /// A statement that calls its function, and why it may not be executed.
    pub call: Option<String>,
    pub refusal: Option<String>,
    filter: Option<Filter>,
}

/// Returns the flows that listen to an event type, those for other tenants as well. To be called as the owner of the tables.
pub fn listening(event_type: &str, tenant: Option<&str>) -> Vec<Flow> {
    thread_local! {
        static FIND: Statement = const { Statement::new(include_str!("../../sql/queries/find_flows.sql")) };
    }
    let args = [event_type.into(), tenant.into()];
    Spi::connect(|client| FIND.with(|find| flows(find.read(client, &args))))
}

/// Returns a flow if it is in testing. To be called as the owner of the tables.
pub fn in_testing(flow: i64) -> Option<Flow> {
    thread_local! {
        static FIND: Statement = const { Statement::new(include_str!("../../sql/queries/find_rehearsed_flow.sql")) };
    }
    Spi::connect(|client| FIND.with(|find| flows(find.read(client, &[flow.into()])).pop()))
}

fn flows(rows: Rows<'_>) -> Vec<Flow> {
    let columns = Columns::of(&rows);
    rows.map(|row| Flow::of(&row, &columns)).collect()
}

impl Flow {
    fn of(row: &Row<'_>, columns: &Columns) -> Self {
        Self {
            id: row.value(columns.flow_id),
            name: row.value(columns.name),
            state: match row.text(columns.state) {
                "testing" => State::Testing,
                "deployed" => State::Deployed,
                _ => State::Paused,
            },
            is_for_tenant: row.value(columns.is_for_tenant),
            timeout: row.millis(columns.timeout_ms).expect("a timeout"),
            owner: row.value(columns.owner),
            call: row.maybe(columns.call),
            refusal: row.maybe(columns.refusal),
            filter: row.maybe(columns.filter),
        }
    }

    /// Returns whether the entity passes the filter. Fails if that cannot be found out.
    pub fn wants<'a>(&self, entity: impl FnOnce() -> &'a str) -> bool {
        let Some(filter) = &self.filter else { return true };
        filter.judges(entity()).unwrap_or_else(|failure| {
            let message = match failure.code {
                PgSqlErrorCode::ERRCODE_QUERY_CANCELED => "it takes too long",
                _ => &failure.message,
            };
            refuse(
                PgSqlErrorCode::ERRCODE_PROGRAM_LIMIT_EXCEEDED,
                format!("the filter of flow {} failed: {message}", self.name),
                "Whether the event is meant for the flow is not known, so nothing is done with it.",
                "Delete the flow, and create it with another filter.",
            )
        })
    }
}
