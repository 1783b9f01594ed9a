//! Reads and writes the rows of inbound events.

use std::time::SystemTime;

use pgrx::prelude::*;
use serde_json::Value;

use super::incoming::Incoming;
use super::mapped::Mapped;
use super::process::Outcome;
use crate::runner;
use crate::store::{Statement, columns};
use crate::tables;

columns!(InsertedColumns { inbound_event_id, received_at });
columns!(MetColumns { inbound_event_id, state, emitted, attempts, received_at });
columns!(DueColumns { adapter_id, external_id, external_type, payload, emitted, attempts, hops, received_at });
columns!(FinishedColumns { due_at });

/// An event that has a row.
pub struct Known {
    pub id: i64,
    pub state: String,
    /// Whether it was emitted to our subscriptions before.
    pub emitted: bool,
    /// Attempts before this one.
    pub attempts: i32,
    /// Whether it was sent again.
    pub came_again: bool,
    pub received_at: SystemTime,
}

/// An event that is due, and its adapter.
pub struct Due {
    pub adapter: i64,
    pub known: Known,
    pub incoming: Incoming,
    pub hops: i16,
}

/// Inserts an event as it will be if nothing fails: done, or unmatched for a reason. Returns `None` if it was received
/// before.
pub fn insert(
    adapter: i64,
    incoming: &Incoming,
    mapped: Option<&Mapped>,
    unmatched: Option<&str>,
    hops: i16,
) -> Option<Known> {
    thread_local! {
        static INSERT: Statement = const { Statement::new(include_str!("../../sql/queries/insert_inbound_event.sql")) };
    }
    let args = [
        adapter.into(),
        incoming.external_id.as_deref().into(),
        incoming.external_type.as_deref().into(),
        mapped.map(|mapped| mapped.event_type.as_str()).into(),
        mapped.map(|mapped| mapped.entity_type.as_str()).into(),
        mapped.and_then(|mapped| mapped.entity_id.as_deref()).into(),
        mapped.and_then(|mapped| mapped.tenant.as_deref()).into(),
        incoming.payload.as_str().into(),
        unmatched.into(),
        hops.into(),
        incoming.is_whole.into(),
    ];
    tables::as_owner(|| {
        Spi::connect_mut(|client| {
            INSERT.with(|insert| {
                let mut rows = insert.write(client, &args);
                let columns = InsertedColumns::of(&rows);
                rows.next().map(|row| Known {
                    id: row.value(columns.inbound_event_id),
                    state: if unmatched.is_none() { "done" } else { "unmatched" }.to_owned(),
                    emitted: false,
                    attempts: 0,
                    came_again: false,
                    received_at: row.time(columns.received_at).expect("a time that is not null"),
                })
            })
        })
    })
}

/// Counts that an event came again, and returns it. `None` if it is not there any more.
pub fn meet(adapter: i64, external_id: &str) -> Option<Known> {
    thread_local! {
        static MEET: Statement = const { Statement::new(include_str!("../../sql/queries/meet_inbound_event.sql")) };
    }
    tables::as_owner(|| {
        Spi::connect_mut(|client| {
            MEET.with(|meet| {
                let mut rows = meet.write(client, &[adapter.into(), external_id.into()]);
                let columns = MetColumns::of(&rows);
                rows.next().map(|row| Known {
                    id: row.value(columns.inbound_event_id),
                    state: row.value(columns.state),
                    emitted: row.value(columns.emitted),
                    attempts: row.value(columns.attempts),
                    came_again: true,
                    received_at: row.time(columns.received_at).expect("a time that is not null"),
                })
            })
        })
    })
}

/// Returns an event that the runner has claimed, and locks it.
pub fn due(id: i64) -> Option<Due> {
    thread_local! {
        static LOAD: Statement = const { Statement::new(include_str!("../../sql/queries/load_due_inbound_event.sql")) };
    }
    tables::as_owner(|| {
        Spi::connect_mut(|client| {
            LOAD.with(|load| {
                let mut rows = load.write(client, &[id.into()]);
                let columns = DueColumns::of(&rows);
                let row = rows.next()?;
                let payload: String = row.value(columns.payload);
                let value = ::inbound::json::read(payload.as_bytes()).unwrap_or(Value::Null);
                Some(Due {
                    adapter: row.value(columns.adapter_id),
                    known: Known {
                        id,
                        state: "received".to_owned(),
                        emitted: row.value(columns.emitted),
                        attempts: row.value(columns.attempts),
                        came_again: false,
                        received_at: row.time(columns.received_at).expect("a time that is not null"),
                    },
                    incoming: Incoming::new(
                        row.maybe(columns.external_id),
                        row.maybe(columns.external_type),
                        payload,
                        value,
                    ),
                    hops: row.value(columns.hops),
                })
            })
        })
    })
}

/// Records what became of an event. If it is to be processed later, the runner starts then.
pub fn finish(known: &Known, mapped: Option<&Mapped>, outcome: &Outcome, later: Later) {
    thread_local! {
        static FINISH: Statement = const { Statement::new(include_str!("../../sql/queries/finish_inbound_event.sql")) };
    }
    let (state, reason, error, sqlstate, due) = match outcome {
        Outcome::Done => ("done", None, None, None, None),
        Outcome::Unmatched { reason } => ("unmatched", Some(reason.as_str()), None, None, None),
        Outcome::Late => ("received", None, None, None, Some("now")),
        Outcome::Failed { error, sqlstate } => {
            let due = (later == Later::ByRunner).then_some("later");
            ("failed", None, Some(error.as_str()), Some(sqlstate.as_str()), due)
        }
    };
    let is_over = matches!(outcome, Outcome::Done | Outcome::Unmatched { .. });
    // The runner has a number of attempts, which nobody can use up by sending again.
    let is_counted = mapped.is_some() && !(known.came_again && due.is_some());
    let attempts = known.attempts + i32::from(is_counted);
    let args = [
        known.id.into(),
        state.into(),
        reason.into(),
        error.into(),
        sqlstate.into(),
        attempts.into(),
        due.into(),
        (known.emitted || is_over && mapped.is_some()).into(),
        mapped.map(|mapped| mapped.event_type.as_str()).into(),
        mapped.map(|mapped| mapped.entity_type.as_str()).into(),
        mapped.and_then(|mapped| mapped.entity_id.as_deref()).into(),
        mapped.and_then(|mapped| mapped.tenant.as_deref()).into(),
    ];
    let due = tables::as_owner(|| {
        Spi::connect_mut(|client| {
            FINISH.with(|finish| {
                let mut rows = finish.write(client, &args);
                let columns = FinishedColumns::of(&rows);
                rows.next().and_then(|row| row.time(columns.due_at))
            })
        })
    });
    if let Some(due) = due {
        runner::at_commit(due);
    }
}

/// Who tries again what has failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Later {
    /// The provider, which sends the request again.
    ByProvider,
    ByRunner,
}
