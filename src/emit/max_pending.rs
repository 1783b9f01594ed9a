//! Limits how many events and deliveries may wait (`hydra_webhooks.max_pending`). If the limit is reached, a new event
//! is dropped or its statement fails.
//!
//! About once a second, the dispatcher counts the waiting events and deliveries and publishes the number; sessions that
//! emit only read it. So the limit can be exceeded: by the events of the last second, by the error of the number, which
//! is estimated from a sample, and by events of transactions that have not committed.
//!
//! What subscriptions miss is counted separately. It has only the room that is left, and takes none from active
//! subscriptions.

use std::cell::Cell;
use std::time::{Duration, Instant};

use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use super::wanted::Target;
use crate::backend::refuse::refuse;
use crate::settings::{self, OnFull};
use crate::slots::{self, Slot};

/// A session that drops events warns no more often than this.
const WARN_EVERY: Duration = Duration::from_secs(60);

thread_local! {
    static WARNED: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// Returns those of the targets of an event for which one more may wait. If there is none, drops the event or, unless
/// it is only missed, fails the statement, as `hydra_webhooks.on_full` says. What is not kept for those that miss it is counted and
/// warned about as a dropped event is.
pub fn with_room(event: &str, mut targets: Vec<Target>) -> Vec<Target> {
    let (Some(limit), Some(slot)) = (settings::max_pending(), slots::here()) else { return targets };
    let (waiting, missed) = (slot.pending(), slot.missed());
    if targets.is_empty() || waiting + missed < limit {
        return targets;
    }
    let all = targets.len();
    targets.retain(|target| !target.missed);
    if targets.is_empty() {
        drop_event(slot, format!("event \"{event}\" is dropped"), waiting + missed, limit);
    } else if !has_room(event) {
        targets.clear();
    } else if targets.len() < all {
        drop_event(
            slot,
            format!("event \"{event}\" is not kept for subscriptions that miss it"),
            waiting + missed,
            limit,
        );
    }
    targets
}

/// Returns whether one more event may wait. If not, drops the event or fails the statement, as
/// `hydra_webhooks.on_full` says.
pub fn has_room(event: &str) -> bool {
    let (Some(limit), Some(slot)) = (settings::max_pending(), slots::here()) else { return true };
    let waiting = slot.pending();
    if waiting >= limit {
        refuse_or_drop(slot, event, waiting, limit);
    }
    waiting < limit
}

fn refuse_or_drop(slot: &Slot, event: &str, waiting: i64, limit: i64) {
    match settings::on_full() {
        OnFull::Drop => drop_event(slot, format!("event \"{event}\" is dropped"), waiting, limit),
        OnFull::Error => refuse(
            PgSqlErrorCode::ERRCODE_CONFIGURATION_LIMIT_EXCEEDED,
            format!("no room for event \"{event}\""),
            &detail(waiting, limit),
            "hydra.webhook_worker_status shows whether events are sent, hydra.webhook_stats for which subscriptions they wait.",
        ),
    }
}

/// Counts a dropped event, and warns about it unless this session has warned recently.
fn drop_event(slot: &Slot, what: String, waiting: i64, limit: i64) {
    slot.count_dropped();
    if WARNED.get().is_some_and(|at| at.elapsed() < WARN_EVERY) {
        return;
    }
    WARNED.set(Some(Instant::now()));
    let code = PgSqlErrorCode::ERRCODE_CONFIGURATION_LIMIT_EXCEEDED;
    ErrorReport::new(code, what, "hydra_webhooks")
        .set_detail(detail(waiting, limit))
        .set_hint("hydra.webhook_worker_status counts the dropped events. This session warns once a minute.")
        .report(PgLogLevel::WARNING);
}

fn detail(waiting: i64, limit: i64) -> String {
    format!("About {waiting} events and deliveries wait; hydra_webhooks.max_pending is {limit}.")
}
