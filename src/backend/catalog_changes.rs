//! Keeps what was read from the catalog until definitions change: of relations, types, schemas, operators or roles.
//!
//! Postgres sends messages about such changes, which keep its own caches up to date. Any of them ends what is kept here, so this is
//! for what takes long to read and is rarely changed. A message that arrives while something is being read counts for it: it
//! may have been read too early.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::ffi::c_int;
use std::hash::Hash;

use pgrx::prelude::*;

/// How many values are kept for one question.
const VALUES: usize = 1000;

thread_local! {
    /// How many changes this process has heard of.
    static CHANGES: Cell<u64> = const { Cell::new(0) };
    static IS_LISTENING: Cell<bool> = const { Cell::new(false) };
}

/// Values that were read, by what they were read for.
pub struct Kept<K, V>(RefCell<Option<(u64, HashMap<K, V>)>>);

impl<K: Eq + Hash, V: Clone> Kept<K, V> {
    pub const fn new() -> Self {
        Self(RefCell::new(None))
    }

    /// Returns the value for `key`, which `read` reads if it is not known.
    pub fn get(&self, key: K, read: impl FnOnce() -> V) -> V {
        let changes = heard_of();
        let known = |kept: &Option<(u64, HashMap<K, V>)>| {
            let (at, values) = kept.as_ref()?;
            values.get(&key).filter(|_| *at == changes).cloned()
        };
        if let Some(known) = known(&self.0.borrow()) {
            return known;
        }
        let value = with_latest_snapshot(read);
        if CHANGES.get() == changes && !sees_one_snapshot() {
            let mut kept = self.0.borrow_mut();
            let values = kept.take().filter(|(at, values)| *at == changes && values.len() < VALUES);
            let (_, values) = kept.insert(values.unwrap_or_else(|| (changes, HashMap::new())));
            values.insert(key, value.clone());
        }
        value
    }
}

/// The snapshot of the running statement may be older than the last change.
fn with_latest_snapshot<R>(body: impl FnOnce() -> R) -> R {
    // SAFETY: the snapshot is popped again; an error aborts the (sub)transaction, which pops it as well.
    unsafe {
        pg_sys::PushActiveSnapshot(pg_sys::GetLatestSnapshot());
        let result = body();
        pg_sys::PopActiveSnapshot();
        result
    }
}

/// Whether all statements of the transaction that write have the same snapshot.
fn sees_one_snapshot() -> bool {
    // SAFETY: reads a variable of this process.
    unsafe { pg_sys::XactIsoLevel >= pg_sys::XACT_REPEATABLE_READ as c_int }
}

fn heard_of() -> u64 {
    listen();
    // SAFETY: receives messages of other sessions.
    unsafe { pg_sys::AcceptInvalidationMessages() };
    CHANGES.get()
}

fn listen() {
    use pg_sys::SysCacheIdentifier::{AUTHMEMROLEMEM, AUTHOID, CLAOID, NAMESPACEOID, OPEROID, TYPEOID};
    if IS_LISTENING.replace(true) {
        return;
    }
    // SAFETY: the callbacks are guarded, and stay loaded for as long as the process lives.
    unsafe {
        pg_sys::CacheRegisterRelcacheCallback(Some(on_relation), pg_sys::Datum::null());
        for cache in [AUTHMEMROLEMEM, AUTHOID, CLAOID, NAMESPACEOID, OPEROID, TYPEOID] {
            pg_sys::CacheRegisterSyscacheCallback(cache as c_int, Some(on_other), pg_sys::Datum::null());
        }
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn on_relation(_arg: pg_sys::Datum, _relation: pg_sys::Oid) {
    CHANGES.set(CHANGES.get() + 1);
}

#[pg_guard]
unsafe extern "C-unwind" fn on_other(_arg: pg_sys::Datum, _cache: c_int, _message: u32) {
    CHANGES.set(CHANGES.get() + 1);
}
