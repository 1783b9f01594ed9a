//! The views `hydra.webhook_worker_status` and `hydra.webhook_databases`: whether events of this database, and of each
//! database of the cluster, are being sent, and if not, why.
//!
//! The state `parked` has three causes: `webhook_park()`, a copy that was not adopted, and a dispatcher that failed
//! several times. The detail says which, and what to do.

use std::borrow::Cow;
use std::time::SystemTime;

use pgrx::datum::TimestampWithTimeZone;
use pgrx::prelude::*;

use crate::adoption::Adoption;
use crate::slots::{self, Slot, State, trouble};
use crate::store::columns;
use crate::{settings, store, tables};

columns!(FailingColumns { failing, active });

#[pg_extern(volatile)]
#[search_path(pg_catalog, pg_temp)]
#[allow(clippy::type_complexity)] // pgrx reads the columns off the type
fn _worker_status() -> TableIterator<
    'static,
    (
        name!(state, String),
        name!(detail, String),
        name!(pid, Option<i32>),
        name!(since, Option<TimestampWithTimeZone>),
        name!(in_flight, i32),
        name!(queued, i32),
        name!(dropped, i64),
    ),
> {
    let slot = slots::here();
    let error = slot.and_then(|slot| slot.error(SystemTime::now()));
    let unsent = slots::shared().and_then(|_| sends_nothing(slot));
    let (state, detail) = match (slots::shared(), slot) {
        _ if let Some((state, detail)) = unsent => (state, Cow::Owned(detail)),
        (Some(_), Some(slot)) if slot.troubles() & trouble::PRIVILEGE != 0 && !slot.is_parked() => {
            ("stopped", Cow::Owned(missing_privilege()))
        }
        (shared, slot) => {
            let (state, detail) = describe_slot(shared, slot);
            (state, Cow::Borrowed(detail))
        }
    };
    let detail = match detail == describe(State::Running).1 {
        true => failing().map_or(detail.clone(), |failing| Cow::Owned(format!("{detail}, but {failing}"))),
        false => detail,
    };
    let detail = match error {
        Some(code) if matches!(state, "running" | "off" | "stopped") => {
            Cow::Owned(format!("{detail}; there are errors, the latest with SQLSTATE {code}: see the server log"))
        }
        _ => detail,
    };
    let running = slot.filter(|slot| !slot.is_vacant());
    let number = |get: fn(&Slot) -> u32| running.map_or(0, |slot| get(slot) as i32);
    TableIterator::once((
        state.to_owned(),
        detail.into_owned(),
        running.and_then(Slot::pid),
        running.map(|slot| store::to_timestamp(slot.since())),
        number(Slot::in_flight),
        number(Slot::queued),
        slot.map_or(0, Slot::dropped),
    ))
}

/// The same for each database of this cluster that is known to have the extension. What only its dispatcher or its tables know is
/// not said.
#[pg_extern(volatile)]
#[search_path(pg_catalog, pg_temp)]
#[allow(clippy::type_complexity)] // pgrx reads the columns off the type
fn _database_status() -> TableIterator<
    'static,
    (
        name!(database, pg_sys::Oid),
        name!(state, String),
        name!(detail, String),
        name!(pid, Option<i32>),
        name!(since, Option<TimestampWithTimeZone>),
        name!(in_flight, i32),
        name!(queued, i32),
        name!(dropped, i64),
    ),
> {
    let shared = slots::shared();
    let slots = shared.into_iter().flat_map(|shared| shared.slots().map(|(_, slot)| slot));
    let known = slots.filter(|slot| slot.has_extension()).filter_map(|slot| Some((slot.database()?, slot)));
    let rows = known.map(|(database, slot)| {
        let (state, detail) = match slot.state() {
            State::Foreign if !slot.is_parked() => {
                ("parked", "a copy that was not adopted: see hydra.webhook_worker_status in that database")
            }
            _ => describe_slot(shared, Some(slot)),
        };
        let error = slot.error(SystemTime::now());
        let detail = match error {
            Some(code) => format!("{detail}; there are errors, the latest with SQLSTATE {code}: see the server log"),
            None => detail.to_owned(),
        };
        let since = slot.pid().map(|_| store::to_timestamp(slot.since()));
        let (in_flight, queued) = (slot.in_flight() as i32, slot.queued() as i32);
        (database, state.to_owned(), detail, slot.pid(), since, in_flight, queued, slot.dropped())
    });
    TableIterator::new(rows.collect::<Vec<_>>())
}

/// Says how many active subscriptions fail; `None` if none does. Any role that may see the status may see these numbers.
fn failing() -> Option<String> {
    const FAILING: &str =
        "SELECT pg_catalog.count(*) FILTER (WHERE h.consecutive_failures > 0) AS failing, pg_catalog.count(*) AS active
        FROM hydra.subscription AS s LEFT JOIN hydra.subscription_health AS h ON h.subscription_id = s.id
        WHERE s.status = 'active'";
    let (failing, active) = tables::as_owner(|| {
        store::read_once(FAILING, &[], |mut rows| {
            let columns = FailingColumns::of(&rows);
            let row = rows.next()?;
            Some((row.value::<i64>(columns.failing), row.value::<i64>(columns.active)))
        })
    })?;
    (failing > 0).then(|| {
        format!(
            "the latest attempts failed for {failing} of {active} active subscriptions: see last_error in hydra.webhook_subscriptions"
        )
    })
}

/// Says that the dispatcher may not use a table, and which tables have row level security.
fn missing_privilege() -> String {
    const TABLES: &str = "SELECT pg_catalog.string_agg('hydra.' || c.relname, ', ' ORDER BY c.relname) AS tables
        FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
        WHERE n.nspname = 'hydra' AND c.relrowsecurity";
    let tables = store::read_once(TABLES, &[], |mut rows| {
        let column = rows.column("tables");
        rows.next()?.maybe::<String>(column)
    });
    match tables {
        Some(tables) => format!("nothing is sent: row level security must be disabled on {tables}"),
        None => "nothing is sent: the role hydra_worker lacks a privilege on a table".into(),
    }
}

/// Returns why this database sends nothing, if the reason is not one that its dispatcher finds.
fn sends_nothing(slot: Option<&Slot>) -> Option<(&'static str, String)> {
    if is_standby() || slot.is_some_and(Slot::is_parked) {
        return None;
    }
    if settings::is_left_out() {
        return Some((
            "off",
            "events are kept, nothing is sent: hydra_webhooks.databases leaves this database out".into(),
        ));
    }
    // Any role that may see the status may see these numbers.
    tables::as_owner(|| {
        let copy = Adoption::find().map(|Adoption { origin, waiting, advice }| {
            ("parked", format!("{origin}, and nothing is sent before it is adopted ({waiting}): {advice}"))
        });
        copy.or_else(|| slot.is_none_or(Slot::is_vacant).then(bar).flatten())
    })
}

/// Returns why the worker cannot connect to this database.
fn bar() -> Option<(&'static str, String)> {
    let reason = store::read_once(include_str!("../../sql/queries/find_bar.sql"), &[], |mut rows| {
        let column = rows.column("reason");
        rows.next()?.maybe::<String>(column)
    });
    reason.map(|reason| ("stopped", format!("nothing is sent: {reason}")))
}

fn describe_slot(shared: Option<&slots::Shared>, slot: Option<&Slot>) -> (&'static str, &'static str) {
    match (shared, slot) {
        (None, _) => (
            "not preloaded",
            "events are kept, nothing is sent: add hydra_webhooks to shared_preload_libraries and restart",
        ),
        (Some(_), _) if is_standby() => ("standby", "a standby sends nothing; it starts to send when it is promoted"),
        (Some(shared), None) if shared.free_slot().is_none() => (
            "stopped",
            "events are kept, nothing is sent: 128 other databases of this cluster have the extension, which is the maximum",
        ),
        (Some(_), None) => {
            // The launcher may be waiting for a background worker slot to look at databases. This one has the extension.
            slots::hint_here();
            ("starting", "the launcher has not reached this database yet")
        }
        (Some(_), Some(slot)) if slot.is_parked() => {
            ("parked", "by hydra.webhook_park(), until hydra.webhook_unpark() or a restart of the server")
        }
        (Some(_), Some(slot)) if slot.unreadable() > 0 && slot.state() == State::Running => (
            "running",
            "some subscriptions get nothing: their secrets cannot be read; see hydra_webhooks.key_file and the server log",
        ),
        (Some(_), Some(slot)) if slot.troubles() & trouble::CA_FILE != 0 && slot.state() == State::Running => (
            "running",
            "events are sent, but hydra_webhooks.ca_file cannot be used in whole: some endpoints may not be trusted; see the server log",
        ),
        (Some(_), Some(slot)) if slot.troubles() & trouble::KEY_FILE != 0 && slot.state() == State::Running => (
            "running",
            "events are sent with the former keys: hydra_webhooks.key_file cannot be used; see the server log",
        ),
        (Some(_), Some(slot)) if slot.faulty() > 0 && slot.state() == State::Running => {
            ("running", "some subscriptions get nothing: see waiting_for in hydra.webhook_subscriptions")
        }
        (Some(_), Some(slot)) => describe(slot.state()),
    }
}

pub fn is_standby() -> bool {
    // SAFETY: reads a flag in shared memory.
    unsafe { pg_sys::RecoveryInProgress() }
}

fn describe(state: State) -> (&'static str, &'static str) {
    match state {
        State::Starting => ("starting", "the dispatcher is being started"),
        State::Running => ("running", "events are sent"),
        State::Off => ("off", "events are kept, nothing is sent: hydra_webhooks.enabled is off"),
        State::Foreign => ("starting", "this database was adopted, and the dispatcher begins to send"),
        State::Absent => ("stopped", "the extension was dropped or is being created"),
        State::Ended => ("stopped", "the dispatcher was asked to end and will be started again"),
        State::Failed => ("stopped", "the dispatcher failed and will be started again"),
        State::NoWorker => (
            "stopped",
            "no background worker slot is free: raise max_worker_processes, see hydra.webhook_doctor(); the launcher tries again",
        ),
        State::Resting => (
            "parked",
            "the dispatcher failed several times, see the server log; it starts again in some minutes, or after hydra.webhook_unpark()",
        ),
    }
}
