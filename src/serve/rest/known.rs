//! Keeps the resources that this process has read, until something that they are made of may have changed.
//!
//! Reading one from the catalog takes longer than many requests. Postgres says when a relation, a type or a schema has changed,
//! by the messages that keep its own caches up to date; a trigger says so for the table of the resources. A message that arrives
//! while a resource is being read counts for it: it may have been read too early. So it is read with a snapshot that was made
//! after the last message.
//!
//! Comments are not noticed. They are only used where all resources are described, which reads them each time.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::ffi::c_int;
use std::rc::Rc;

use pgrx::prelude::*;

use super::resource::Resource;

#[derive(Default)]
struct Kept {
    resources: HashMap<String, Rc<Resource>>,
    /// Their relations, and the table of the resources.
    relations: HashSet<pg_sys::Oid>,
    /// By what Postgres calls their types in its messages.
    types: HashSet<u32>,
}

thread_local! {
    static KEPT: RefCell<Kept> = RefCell::default();
    /// Whether any change counts, because it is not known yet which do.
    static IS_READING: Cell<bool> = const { Cell::new(false) };
    static HAS_CHANGED: Cell<bool> = const { Cell::new(false) };
    static IS_LISTENING: Cell<bool> = const { Cell::new(false) };
}

/// Returns the resource of this name. `read` reads it, and returns the table that it is stored in with it.
pub fn get(name: &str, read: impl FnOnce() -> Option<(Resource, pg_sys::Oid)>) -> Option<Rc<Resource>> {
    listen();
    // SAFETY: receives messages of other sessions.
    unsafe { pg_sys::AcceptInvalidationMessages() };
    if HAS_CHANGED.replace(false) {
        KEPT.take();
    }
    if let Some(known) = KEPT.with_borrow(|kept| kept.resources.get(name).cloned()) {
        return Some(known);
    }
    struct Reading;
    impl Drop for Reading {
        fn drop(&mut self) {
            IS_READING.set(false);
        }
    }
    let reading = Reading;
    IS_READING.set(true);
    let (resource, table) = read()?;
    let resource = Rc::new(resource);
    let types: Vec<u32> = resource.columns.iter().map(|column| message_of_type(column.type_oid)).collect();
    drop(reading);
    if !HAS_CHANGED.get() && !sees_one_snapshot() {
        KEPT.with_borrow_mut(|kept| {
            kept.relations.extend([resource.relation, table]);
            kept.types.extend(types);
            kept.resources.insert(name.to_owned(), Rc::clone(&resource));
        });
    }
    Some(resource)
}

/// Whether all statements of the transaction have the same snapshot, which may be older than the last message.
fn sees_one_snapshot() -> bool {
    // SAFETY: reads a variable of this process.
    unsafe { pg_sys::XactIsoLevel >= pg_sys::XACT_REPEATABLE_READ as c_int }
}

fn message_of_type(of_type: pg_sys::Oid) -> u32 {
    let none = pg_sys::Datum::null();
    let cache = pg_sys::SysCacheIdentifier::TYPEOID as c_int;
    // SAFETY: computes the hash of the key of a cache.
    unsafe { pg_sys::GetSysCacheHashValue(cache, of_type.into(), none, none, none) }
}

fn listen() {
    if IS_LISTENING.replace(true) {
        return;
    }
    // SAFETY: the callbacks are guarded, and stay loaded for as long as the process lives.
    unsafe {
        pg_sys::CacheRegisterRelcacheCallback(Some(on_relation), pg_sys::Datum::null());
        for cache in [
            pg_sys::SysCacheIdentifier::TYPEOID,
            pg_sys::SysCacheIdentifier::NAMESPACEOID,
            pg_sys::SysCacheIdentifier::ENUMOID,
        ] {
            pg_sys::CacheRegisterSyscacheCallback(cache as c_int, Some(on_other), pg_sys::Datum::null());
        }
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn on_relation(_arg: pg_sys::Datum, relation: pg_sys::Oid) {
    // Without an OID, messages were lost.
    let is_any = IS_READING.get() || relation == pg_sys::InvalidOid;
    if is_any || KEPT.with_borrow(|kept| kept.relations.contains(&relation)) {
        HAS_CHANGED.set(true);
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn on_other(_arg: pg_sys::Datum, cache: c_int, message: u32) {
    let is_type = cache == pg_sys::SysCacheIdentifier::TYPEOID as c_int;
    let is_any = IS_READING.get() || !is_type || message == 0;
    if is_any || KEPT.with_borrow(|kept| kept.types.contains(&message)) {
        HAS_CHANGED.set(true);
    }
}

/// Trigger function: announces that the rows of the table have changed.
#[pg_trigger]
fn _resources_changed<'a>(
    trigger: &'a PgTrigger<'a>,
) -> Result<Option<PgHeapTuple<'a, AllocatedByPostgres>>, PgTriggerError> {
    // SAFETY: sends a message about the table of the trigger.
    unsafe { pg_sys::CacheInvalidateRelcacheByRelid(trigger.relid()?) };
    Ok(None)
}
