//! The view `hydra.runner_status`: whether what requests have left is being done, and if not, why.

use std::time::SystemTime;

use pgrx::datum::TimestampWithTimeZone;
use pgrx::prelude::*;

use crate::api::is_standby;
use crate::identity::Identity;
use crate::slots::runner::Trouble;
use crate::slots::{self, Slot};
use crate::{settings, store, tables};

#[pg_extern(volatile)]
#[search_path(pg_catalog, pg_temp)]
#[allow(clippy::type_complexity)] // pgrx reads the columns off the type
fn _runner_status() -> TableIterator<
    'static,
    (
        name!(state, String),
        name!(detail, String),
        name!(pid, Option<i32>),
        name!(since, Option<TimestampWithTimeZone>),
        name!(next_at, Option<TimestampWithTimeZone>),
    ),
> {
    let slot = slots::here();
    let (state, detail) = describe(slot);
    let runner = slot.map(Slot::runner);
    let running = runner.filter(|runner| runner.pid().is_some());
    TableIterator::once((
        state.to_owned(),
        detail.to_owned(),
        running.and_then(|runner| runner.pid()),
        running.map(|runner| store::to_timestamp(runner.since())),
        runner.and_then(|runner| runner.due()).map(store::to_timestamp),
    ))
}

fn describe(slot: Option<&Slot>) -> (&'static str, &'static str) {
    if slots::shared().is_none() {
        return ("not preloaded", "nothing is run: add hydra_webhooks to shared_preload_libraries and restart");
    }
    if is_standby() {
        return ("standby", "a standby runs nothing; it starts when it is promoted");
    }
    if settings::is_left_out() {
        return ("off", "nothing is run: hydra_webhooks.databases leaves this database out");
    }
    let Some(slot) = slot else { return ("starting", "the launcher has not reached this database yet") };
    if slot.is_parked() {
        return ("parked", "by hydra.webhook_park(), until hydra.webhook_unpark() or a restart of the server");
    }
    if !tables::as_owner(|| Identity::read().is_here()) {
        return (
            "parked",
            "this database is a copy, and nothing is run before it is adopted with hydra.webhook_adopt()",
        );
    }
    let runner = slot.runner();
    match runner.trouble() {
        _ if runner.pid().is_some() => ("running", "what is due is being done"),
        Trouble::NoWorker => {
            ("stopped", "no background worker slot is free: raise max_worker_processes; the launcher tries again")
        }
        Trouble::Resting => {
            ("stopped", "the runner failed several times, see the server log; it starts again in some minutes")
        }
        Trouble::None if runner.due().is_some_and(|due| due <= SystemTime::now()) => {
            ("starting", "something is due, and the runner is being started")
        }
        Trouble::None => ("idle", "nothing is due; the runner is started when something is"),
    }
}
