//! Processes inbound events that are due.

use pgrx::prelude::*;

use super::own_transaction;
use crate::backend::{Failure, extension_lock, signals, sqlstate, transaction};
use crate::inbound::again::run_again;
use crate::serve::session;
use crate::store::{Statement, columns};
use crate::tables;

columns!(ClaimedColumns { event_id, is_over });

/// What is recorded of an event whose attempts ended with the process.
const ENDED: &str = "the runner ended while it ran the flows of this event: see the server log";
const CRASH_SHUTDOWN: &str = "57P02";

/// Processes the event that is due first. Returns false if none is due.
pub fn process_next() -> Result<bool, Failure> {
    let Some(event) = own_transaction(c"claim an inbound event", claim)? else { return Ok(false) };
    let Some(event) = event.id_if_it_is_tried() else { return Ok(true) };
    let processed = transaction(c"process an inbound event", || alone_in_session(|| run_again(event)));
    match processed {
        Ok(true) => {}
        // A request with the same event was faster.
        Ok(false) => release(event)?,
        Err(_) if signals::stop_requested() => release(event)?,
        Err(failure) => {
            let code = sqlstate(failure.code);
            let fail = || fail(event, &failure.message, &code, true);
            own_transaction(c"record the failure of an inbound event", fail)?;
        }
    }
    Ok(true)
}

/// Takes back an attempt that was not made. A request that has the event ends first.
fn release(event: i64) -> Result<(), Failure> {
    own_transaction(c"release an inbound event", || execute(&RELEASE, &[event.into()]))
}

/// Runs `body` as a request is run: nothing of it is left in the session.
pub fn alone_in_session<R>(body: impl FnOnce() -> R) -> R {
    session::put_back();
    session::prepare();
    extension_lock::hold();
    let result = body();
    session::put_back();
    result
}

thread_local! {
    static CLAIM: Statement = const { Statement::new(include_str!("../../sql/queries/claim_inbound_event.sql")) };
    static FAIL: Statement = const { Statement::new(include_str!("../../sql/queries/fail_inbound_event.sql")) };
    static RELEASE: Statement = const { Statement::new(include_str!("../../sql/queries/release_inbound_event.sql")) };
}

struct Claimed {
    event: i64,
    /// Whether the event has had all its attempts, so that it is not tried again.
    is_over: bool,
}

impl Claimed {
    fn id_if_it_is_tried(self) -> Option<i64> {
        (!self.is_over).then_some(self.event)
    }
}

/// Claims the event that is due first, and gives it up if it has had all its attempts: it was claimed each time, and none of
/// the attempts has ended.
fn claim() -> Option<Claimed> {
    let claimed = tables::as_owner(|| {
        Spi::connect_mut(|client| {
            CLAIM.with(|claim| {
                let mut rows = claim.write(client, &[]);
                let columns = ClaimedColumns::of(&rows);
                rows.next()
                    .map(|row| Claimed { event: row.value(columns.event_id), is_over: row.value(columns.is_over) })
            })
        })
    })?;
    if claimed.is_over {
        fail(claimed.event, ENDED, CRASH_SHUTDOWN, false);
    }
    Some(claimed)
}

/// Records an error of an event. `replaces`: also if it has one already.
fn fail(event: i64, error: &str, sqlstate: &str, replaces: bool) {
    execute(&FAIL, &[event.into(), error.into(), sqlstate.into(), replaces.into()]);
}

fn execute(statement: &'static std::thread::LocalKey<Statement>, args: &[pgrx::datum::DatumWithOid<'_>]) {
    tables::as_owner(|| Spi::connect_mut(|client| statement.with(|statement| statement.write(client, args).count())));
}
