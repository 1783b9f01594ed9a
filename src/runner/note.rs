//! Notes in the slot of the database when there is something for the runner to do.

use std::cell::Cell;
use std::ffi::c_void;
use std::time::SystemTime;

use pgrx::datum::TimestampWithTimeZone;
use pgrx::prelude::*;

use super::own_transaction;
use crate::backend::Failure;
use crate::slots::{self, Slot};
use crate::store::{Statement, columns, to_system_time, to_timestamp};
use crate::{settings, tables};

columns!(NextColumns { due, removal });

/// When the runner has something to do next.
#[derive(Default, Clone, Copy)]
pub struct Next {
    /// An event or a rehearsal.
    pub due: Option<SystemTime>,
    /// Old rows.
    pub removal: Option<SystemTime>,
}

impl Next {
    pub fn first(&self) -> Option<SystemTime> {
        self.due.into_iter().chain(self.removal).min()
    }
}

thread_local! {
    static REGISTERED: Cell<bool> = const { Cell::new(false) };
    static WANTED: Cell<Option<SystemTime>> = const { Cell::new(None) };
}

/// Notes, when the current transaction commits, that there is something to do at this time. A time that has passed means at
/// once.
pub fn at_commit(due: SystemTime) {
    if slots::shared().is_none() {
        return;
    }
    WANTED.set(Some(WANTED.get().map_or(due, |former| former.min(due))));
    if !REGISTERED.replace(true) {
        // SAFETY: the callback is guarded, and stays loaded for as long as the backend lives.
        unsafe { pg_sys::RegisterXactCallback(Some(on_transaction_end), std::ptr::null_mut()) };
    }
}

/// Only sets numbers and latches, because an error after the commit would restart the whole server. A prepared transaction
/// notes nothing; what it left is found by the dispatcher.
#[pg_guard]
unsafe extern "C-unwind" fn on_transaction_end(event: pg_sys::XactEvent::Type, _arg: *mut c_void) {
    match event {
        pg_sys::XactEvent::XACT_EVENT_COMMIT => {
            if let Some(due) = WANTED.take() {
                match slots::here() {
                    Some(slot) => {
                        note(slot, due);
                        slot.runner().wake();
                    }
                    None => slots::hint_here(),
                }
            }
        }
        pg_sys::XactEvent::XACT_EVENT_ABORT | pg_sys::XactEvent::XACT_EVENT_PREPARE => WANTED.set(None),
        _ => {}
    }
}

fn note(slot: &Slot, due: SystemTime) {
    let runner = slot.runner();
    runner.note(due);
    // The launcher looks at all notes each second.
    if let Some(shared) = slots::shared().filter(|_| runner.pid().is_none() && due <= SystemTime::now()) {
        shared.wake_launcher();
    }
}

/// Looks into the tables when there is something to do next, and notes it.
pub fn note_next(slot: &Slot) -> Result<Next, Failure> {
    let mut next = own_transaction(c"look for what the runner has to do", next)?;
    next.removal = next.removal.map(|removal| removal.max(slot.runner().removal_waits()));
    if let Some(first) = next.first() {
        note(slot, first);
    }
    Ok(next)
}

/// Returns when there is something to do next.
fn next() -> Next {
    thread_local! {
        static NEXT: Statement = const { Statement::new(include_str!("../../sql/queries/next_for_runner.sql")) };
    }
    let oldest = SystemTime::now().checked_sub(settings::inbound_retention()).unwrap_or(SystemTime::UNIX_EPOCH);
    let args = [to_timestamp(oldest).into()];
    tables::as_owner(|| {
        Spi::connect(|client| {
            NEXT.with(|next| {
                let mut rows = next.read(client, &args);
                let columns = NextColumns::of(&rows);
                let row = rows.next().expect("a row");
                Next { due: row.time(columns.due), removal: row.time(columns.removal) }
            })
        })
    })
}

/// Notes, at commit, that there is something to do at this time.
#[pg_extern(volatile, strict)]
fn _note_for_runner(due: TimestampWithTimeZone) {
    at_commit(to_system_time(due));
}
