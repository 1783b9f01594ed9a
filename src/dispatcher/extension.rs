//! How a dispatcher learns that something changed: what it keeps in memory, or whether its extension is still there.
//!
//! Whoever changes a subscription, a secret or an event type invalidates the cached relation `subscription`; so does
//! dropping it. Such messages come in at the start of a transaction, after the commit that caused them.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use pgrx::prelude::*;

use crate::process;

/// Whether there is news. There is at first: nothing was read yet.
static NEWS: AtomicBool = AtomicBool::new(true);
static SUBSCRIPTIONS: OnceLock<pg_sys::Oid> = OnceLock::new();

pub fn is_there() -> bool {
    NEWS.load(Ordering::Relaxed)
}

pub fn take() -> bool {
    NEWS.swap(false, Ordering::Relaxed)
}

/// Has everything read again.
pub fn spread() {
    NEWS.store(true, Ordering::Relaxed);
}

/// Begins to listen.
#[allow(unsafe_code)]
pub fn listen() {
    // SAFETY: the callback is guarded, and stays loaded for as long as the process lives.
    unsafe { pg_sys::CacheRegisterRelcacheCallback(Some(on_relation_change), pg_sys::Datum::null()) };
}

/// Which relation to listen for. To be called in a transaction.
pub fn find_subscriptions() {
    let relation = Spi::get_one("SELECT 'hydra.subscription'::pg_catalog.regclass::pg_catalog.oid");
    SUBSCRIPTIONS.get_or_init(|| relation.expect("SPI reads").expect("a table of the extension"));
}

#[pg_guard]
#[allow(unsafe_code)]
unsafe extern "C-unwind" fn on_relation_change(_arg: pg_sys::Datum, relation: pg_sys::Oid) {
    if relation == pg_sys::InvalidOid || SUBSCRIPTIONS.get() == Some(&relation) {
        spread();
    }
}

/// The extension in this database, or that there is none.
pub fn extension() -> Result<Option<pg_sys::Oid>, String> {
    process::transaction(current_extension)
}

#[allow(unsafe_code)]
fn current_extension() -> Option<pg_sys::Oid> {
    // SAFETY: looks a name up in a catalog, in a transaction.
    let oid = unsafe { pg_sys::get_extension_oid(c"hydra_webhooks".as_ptr(), true) };
    Some(oid).filter(|oid| *oid != pg_sys::InvalidOid)
}
