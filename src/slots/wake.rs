//! Wakes the dispatcher when a transaction commits.
//!
//! There is one callback, registered once per backend: a registration per transaction would make a long session slower
//! with every emit. The callback only sets a flag and a latch, because an error after the commit would restart the
//! whole server. A wake can be lost, for example if the dispatcher ends just then. So the dispatcher also looks at the
//! queue every half second.

use std::cell::Cell;
use std::ffi::c_void;

use pgrx::prelude::*;

use crate::slots;

thread_local! {
    static REGISTERED: Cell<bool> = const { Cell::new(false) };
    static WANTED: Cell<bool> = const { Cell::new(false) };
}

/// Wakes this database's dispatcher when the current transaction commits.
pub fn at_commit() {
    if slots::shared().is_none() {
        return;
    }
    WANTED.set(true);
    if !REGISTERED.replace(true) {
        // SAFETY: the callback is guarded, and stays loaded for as long as the backend lives.
        unsafe { pg_sys::RegisterXactCallback(Some(on_transaction_end), std::ptr::null_mut()) };
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn on_transaction_end(event: pg_sys::XactEvent::Type, _arg: *mut c_void) {
    match event {
        pg_sys::XactEvent::XACT_EVENT_COMMIT if WANTED.replace(false) => wake(),
        // COMMIT PREPARED wakes the dispatcher, see `utility`.
        pg_sys::XactEvent::XACT_EVENT_ABORT | pg_sys::XactEvent::XACT_EVENT_PREPARE => WANTED.set(false),
        _ => {}
    }
}

fn wake() {
    let slot = slots::here();
    if let Some(slot) = slot {
        slot.wake();
    }
    if slot.is_none_or(|slot| slot.is_vacant() && !slot.is_parked()) {
        slots::hint_here();
    }
}
