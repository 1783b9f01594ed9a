//! The life of a dispatcher's process around its loop: how it begins, connects and ends.

use std::time::{SystemTime, UNIX_EPOCH};

use pgrx::prelude::*;

use super::{Dispatcher, extension};
use crate::first_steps::FirstSteps;
use crate::process;
use crate::slots::{Slot, State, shared};

/// How much free memory the process keeps, and how large a piece of it may be, in bytes.
const KEPT: i32 = 16 << 20;
const KEPT_PIECE: i32 = 1 << 20;

#[pg_guard]
#[unsafe(no_mangle)]
#[allow(unsafe_code)]
pub extern "C-unwind" fn hydra_webhooks_dispatcher_main(arg: pg_sys::Datum) {
    process::attach_signals();
    keep_memory();
    let slot = &shared().expect("only the launcher starts dispatchers").slots[arg.value()];
    // SAFETY: the callback is guarded; the argument is the slot's number again.
    unsafe { pg_sys::before_shmem_exit(Some(on_exit), arg) };
    // Before it connects: who parks it waits until nobody is there.
    slot.enter(std::process::id() as i32, now_micros());
    if !slot.is_parked() {
        serve(slot);
    }
    // SAFETY: the regular way for a worker to end.
    unsafe { pg_sys::proc_exit(0) }
}

fn serve(slot: &'static Slot) {
    if !FirstSteps::of_dispatcher(slot).may_begin() {
        warning!("hydra_webhooks: a dispatcher crashed again and again, and rests for some minutes");
        return slot.set_state(State::Resting);
    }
    connect();
    match extension::find() {
        Ok(Some(extension)) => Dispatcher::new(slot, extension).run(),
        Ok(None) => slot.set_state(State::Absent),
        Err(error) => warning!("hydra_webhooks dispatcher: {error}"),
    }
}

/// Every page that is read takes and frees some hundred kilobytes. By default these go back to the system each time, and
/// come from it again page by page.
#[allow(unsafe_code)]
fn keep_memory() {
    // SAFETY: options of the allocator, for this process alone.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, KEPT_PIECE);
        libc::mallopt(libc::M_TRIM_THRESHOLD, KEPT);
    }
}

/// Connects to the database and as the role that the launcher chose, with settings of our own.
fn connect() {
    let extra = pgrx::bgworkers::BackgroundWorker::get_extra();
    let mut oids = extra.split(' ').map(|oid| pg_sys::Oid::from(oid.parse::<u32>().unwrap_or(0)));
    pgrx::bgworkers::BackgroundWorker::connect_worker_to_spi_by_oid(oids.next(), oids.next());
    // Whoever owns the database can name another one, where the worker was made a member of that.
    process::pin(c"role", c"none");
    process::pin(c"default_transaction_isolation", c"read committed");
    process::pin(c"default_transaction_read_only", c"off");
    process::pin(c"search_path", c"pg_catalog, pg_temp");
    process::pin(c"session_replication_role", c"origin");
    // Below deadlock_timeout: in a deadlock it is the dispatcher that yields.
    process::pin(c"lock_timeout", c"500ms");
    process::pin(c"jit", c"off");
    // Plans are kept; none of them should ever read a whole table, nor sort more than it returns.
    process::pin(c"enable_seqscan", c"off");
    process::pin(c"enable_bitmapscan", c"off");
    process::pin(c"enable_hashjoin", c"off");
    process::pin(c"enable_mergejoin", c"off");
    process::pin(c"plan_cache_mode", c"force_generic_plan");
    // What is finished is written lazily: a crash repeats a batch and loses nothing. Claims wait for the disk.
    process::pin(c"synchronous_commit", c"off");
}

#[pg_guard]
#[allow(unsafe_code)]
unsafe extern "C-unwind" fn on_exit(_code: i32, arg: pg_sys::Datum) {
    let Some(slot) = shared().map(|shared| &shared.slots[arg.value()]) else { return };
    FirstSteps::of_dispatcher(slot).are_done();
    slot.leave();
    if !matches!(slot.state(), State::Absent | State::Ended | State::Resting) {
        slot.set_state(if process::was_told_to_stop() || slot.is_parked() { State::Ended } else { State::Failed });
    }
}

fn now_micros() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros() as i64
}
