//! The process around [`Watch`]: starts it, connects it to the database, and ends it.

use std::mem;
use std::time::{Duration, Instant};

use pgrx::prelude::*;

use super::watch::Watch;
use crate::backend::activity::SUPERVISOR as NAME;
use crate::backend::crash_loop::{self, CrashLoop, REST};
use crate::backend::database_lock::{self, DatabaseLock};
use crate::backend::{setting, signals, stopping};
use crate::dispatcher::Start;
use crate::settings;
use crate::slots::gateway::{Gateway, GatewayState};
use crate::slots::{Shared, Slot, shared};

/// How often the supervisor looks whether somebody waits until the gateway has no session.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// How long requests may take to finish when the gateway is switched off, and when somebody waits for its end: a server
/// that stops, or a statement that fails after five seconds.
const FINISH: Duration = Duration::from_secs(10);
const FINISH_SOON: Duration = Duration::from_secs(1);

#[pg_guard]
#[unsafe(no_mangle)]
pub extern "C-unwind" fn hydra_webhooks_supervisor_main(_arg: pg_sys::Datum) {
    signals::attach();
    let shared = shared().expect("only the launcher starts supervisors");
    // SAFETY: the callback is guarded.
    unsafe { pg_sys::before_shmem_exit(Some(on_exit), pg_sys::Datum::null()) };
    let start = Start::of_this_worker();
    // Before it connects, as a dispatcher does, so that webhook_park() sees it.
    shared.gateway().enter(start.database);
    let supervisor = Supervisor { shared, gateway: shared.gateway(), start, gives_way: false };
    if supervisor.is_wanted() {
        supervisor.serve();
    } else {
        supervisor.gateway.set_state(GatewayState::Ended);
    }
    // SAFETY: the regular way for a worker to end.
    unsafe { pg_sys::proc_exit(0) }
}

#[pg_guard]
unsafe extern "C-unwind" fn on_exit(_code: i32, _arg: pg_sys::Datum) {
    let Some(gateway) = shared().map(Shared::gateway) else { return };
    CrashLoop::of_supervisor().end();
    if !matches!(gateway.state(), GatewayState::Ended | GatewayState::Resting) {
        gateway.set_state(match signals::stop_was_requested() {
            true => GatewayState::Ended,
            false => GatewayState::SupervisorFailed,
        });
    }
    gateway.leave();
}

struct Supervisor {
    shared: &'static Shared,
    gateway: &'static Gateway,
    start: Start,
    /// Whether somebody waits until the gateway has no session: a statement that needs the database without sessions, or
    /// a server that is being stopped in smart mode.
    gives_way: bool,
}

impl Supervisor {
    /// Connects to the database and runs the loop, unless the supervisor has crashed too often or the database is gone.
    fn serve(mut self) {
        self.gateway.report(GatewayState::Starting, "", "the supervisor of the gateway is being started", "");
        let crash_loop = CrashLoop::of_supervisor();
        if !crash_loop.may_start() {
            let (crashed, rest) = (crash_loop::description(), REST.as_secs() / 60);
            warning!("{NAME} {crashed}; next start in {rest} min");
            return self.gateway.set_state(GatewayState::Resting);
        }
        // With this lock the database cannot be dropped until the process has connected.
        let lock = DatabaseLock::try_take(self.start.database);
        if lock.is_none() || !self.start.exists() {
            return self.gateway.set_state(GatewayState::Ended);
        }
        connect(&self.start);
        drop(lock);
        self.run(&crash_loop);
    }

    fn run(&mut self, crash_loop: &CrashLoop) {
        let mut watch = Watch::new(self.gateway, self.start.name.clone());
        let mut next_look = Instant::now();
        let mut is_useful = false;
        while !signals::stop_requested() && self.is_wanted() && !self.gives_way {
            if signals::reload_requested() && self.is_wanted() {
                watch.reload();
            }
            let pause = watch.turn();
            if watch.has_listened() && !mem::replace(&mut is_useful, true) {
                crash_loop.end();
            }
            signals::wait(watch.fd(), pause.unwrap_or(LOOK_EVERY).min(LOOK_EVERY));
            if Instant::now() >= next_look {
                next_look = Instant::now() + LOOK_EVERY;
                self.gives_way = !database_lock::is_free(self.start.database) || stopping::is_stopping();
            }
        }
        self.end(watch);
    }

    /// Whether the gateway of this database is to run. After a reload, the launcher may not have decided yet.
    fn is_wanted(&self) -> bool {
        settings::gateway::listen().is_some()
            && self.gateway.wanted() == Some(self.start.database)
            && !self.slot().is_some_and(Slot::is_parked)
    }

    fn slot(&self) -> Option<&'static Slot> {
        self.shared.slot_of(self.start.database)
    }

    fn end(&self, watch: Watch) {
        let reason = match self.slot() {
            Some(slot) if slot.is_parked() => "parked by hydra.webhook_park()",
            _ if signals::stop_was_requested() => "asked to stop",
            _ if self.gives_way && stopping::is_stopping() => "the server is being stopped",
            _ if self.gives_way => "the database is being dropped, renamed, moved or copied",
            _ => "switched off",
        };
        log!("{NAME} stops in database \"{}\": {reason}", self.start.name);
        let mut limit = FINISH;
        watch.end(|elapsed| {
            // Other processes may be waiting until this one has handled an interrupt.
            signals::wait(None, Duration::ZERO);
            if limit == FINISH && self.somebody_waits() {
                limit = elapsed + FINISH_SOON;
            }
            elapsed < limit
        });
        self.gateway.set_state(GatewayState::Ended);
    }

    fn somebody_waits(&self) -> bool {
        self.gives_way
            || signals::stop_was_requested()
            || self.slot().is_none_or(Slot::is_parked)
            || !database_lock::is_free(self.start.database)
    }
}

/// Connects to the database as the role of the workers, and sets the parameters on which the supervisor depends.
fn connect(start: &Start) {
    start.connect(NAME);
    setting::pin(c"lock_timeout", c"5s");
    // The password has no use after a crash, and a standby that does not answer must not keep the gateway from starting.
    setting::pin(c"synchronous_commit", c"off");
}
