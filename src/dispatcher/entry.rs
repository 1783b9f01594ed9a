//! The process around the dispatcher's loop: starts it, connects it to the database, and records its end.

use std::ffi::CStr;
use std::time::SystemTime;

use pgrx::prelude::*;

use super::start::Start;
use super::{Dispatcher, extension};
use crate::backend::activity::DISPATCHER as NAME;
use crate::backend::crash_loop::{self, CrashLoop, REST};
use crate::backend::database_lock::DatabaseLock;
use crate::backend::{Failure, setting, signals, transaction};
use crate::slots::{Shared, Slot, State, shared};

/// How much free memory the process keeps, and the size of the largest piece that it takes from this memory, in bytes.
const KEPT: i32 = 16 << 20;
const KEPT_PIECE: i32 = 1 << 20;

#[pg_guard]
#[unsafe(no_mangle)]
pub extern "C-unwind" fn hydra_webhooks_dispatcher_main(arg: pg_sys::Datum) {
    signals::attach();
    keep_memory();
    interrupt_nobody();
    let shared = shared().expect("only the launcher starts dispatchers");
    let slot = shared.slot(arg.value());
    // SAFETY: the callback is guarded; its argument is the index of the slot.
    unsafe { pg_sys::before_shmem_exit(Some(on_exit), arg) };
    // Enter the slot before connecting. Otherwise webhook_park() could find the slot vacant while this process is about
    // to connect.
    slot.enter(std::process::id() as i32, SystemTime::now());
    if !slot.is_parked() {
        serve(shared, slot);
    }
    // SAFETY: the regular way for a worker to end.
    unsafe { pg_sys::proc_exit(0) }
}

/// Connects to the database and runs the loop, unless the dispatcher has crashed too often, a statement needs the
/// database without sessions, or there is no extension.
fn serve(shared: &Shared, slot: &'static Slot) {
    let start = Start::of_this_worker();
    if !CrashLoop::of_dispatcher(slot).may_start() {
        let (database, crashed, rest) = (&start.name, crash_loop::description(), REST.as_secs() / 60);
        warning!(
            "{NAME} of database \"{database}\" {crashed}; next start in {rest} min, or after hydra.webhook_unpark()"
        );
        return slot.set_state(State::Resting);
    }
    // With this lock the database cannot be dropped until the process has connected. If it were dropped, Postgres would
    // end the process with a FATAL error, which administrators would have to look into.
    let Some(lock) = DatabaseLock::try_take(start.database) else {
        return slot.set_state(State::Ended);
    };
    if !start.exists() {
        return;
    }
    connect(&start);
    drop(lock);
    match look_around() {
        Ok((Some(extension), database)) => {
            slot.set_has_extension();
            // It may look at the next database.
            shared.wake_launcher();
            Dispatcher::new(slot, extension, database).run();
        }
        Ok((None, _)) => slot.set_state(State::Absent),
        Err(failure) => failure.warn(NAME, 0),
    }
}

/// Lets this thread run in batches: it waits for the time slice of whoever runs, instead of interrupting it, so that its
/// long turns delay neither sessions nor the threads that make requests. Those start as ordinary threads.
fn interrupt_nobody() {
    let none = libc::sched_param { sched_priority: 0 };
    // SAFETY: sets the policy of this thread; where that is not permitted, it stays as it is.
    unsafe { libc::sched_setscheduler(0, libc::SCHED_BATCH | libc::SCHED_RESET_ON_FORK, &raw const none) };
}

/// Makes the allocator keep free memory. Each page of events takes and frees some hundred kilobytes. By default they
/// are returned to the system each time, and taken from it again one memory page at a time.
fn keep_memory() {
    // SAFETY: sets options of the allocator of this process.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, KEPT_PIECE);
        libc::mallopt(libc::M_TRIM_THRESHOLD, KEPT);
    }
}

/// Connects to the database as the role that the launcher chose, and sets the parameters on which the dispatcher
/// depends.
fn connect(start: &Start) {
    start.connect(NAME);
    // A policy of row level security must not hide rows from the dispatcher: it would take subscriptions that it does
    // not see for deleted ones. With this setting Postgres raises an error instead, and the dispatcher waits.
    setting::pin(c"row_security", c"off");
    // Below deadlock_timeout, so that the dispatcher yields in a deadlock.
    setting::pin(c"lock_timeout", c"500ms");
    setting::pin(c"jit", c"off");
    // Plans are kept. None of them should read a whole table, or sort more rows than it returns.
    setting::pin(c"enable_seqscan", c"off");
    setting::pin(c"enable_bitmapscan", c"off");
    setting::pin(c"enable_hashjoin", c"off");
    setting::pin(c"enable_mergejoin", c"off");
    setting::pin(c"plan_cache_mode", c"force_generic_plan");
    // If a crash loses the last outcomes, their deliveries are sent again; none is lost. Only claims wait for the disk.
    setting::pin(c"synchronous_commit", c"off");
    // Several times as fast as the other method. Large bodies for slow endpoints are compressed once for each endpoint.
    setting::pin_if_known(c"default_toast_compression", c"lz4");
}

#[pg_guard]
unsafe extern "C-unwind" fn on_exit(_code: i32, arg: pg_sys::Datum) {
    let Some(slot) = shared().map(|shared| shared.slot(arg.value())) else { return };
    CrashLoop::of_dispatcher(slot).end();
    slot.leave();
    if !matches!(slot.state(), State::Absent | State::Ended | State::Resting) {
        slot.set_state(if signals::stop_was_requested() || slot.is_parked() { State::Ended } else { State::Failed });
    }
}

/// Returns the extension in this database, if it exists, and the name of the database.
fn look_around() -> Result<(Option<pg_sys::Oid>, String), Failure> {
    let extension = extension::find()?;
    let database = transaction(c"read the name of the database", || {
        // SAFETY: looks up a name in a catalog, in a transaction; the result is a C string or null.
        unsafe {
            let name = pg_sys::get_database_name(pg_sys::MyDatabaseId);
            if name.is_null() { String::new() } else { CStr::from_ptr(name).to_string_lossy().into_owned() }
        }
    })?;
    Ok((extension, database))
}
