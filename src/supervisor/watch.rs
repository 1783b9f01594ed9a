//! Starts the gateway, follows its state, and starts it again when it has ended.
//!
//! The pause before a start doubles from one second to [`LONGEST_PAUSE`]. It is that short because an end of the gateway
//! costs nobody anything; a port that was in use is taken soon after it is free. The pause begins with one second again
//! after the gateway has listened for some time, and a reload starts the gateway at once.

use std::ffi::{CStr, OsStr, c_char};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::{Duration, Instant, SystemTime};

use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;
use wire::supervised::Report;

use super::child::Child;
use super::login::Login;
use super::{PROGRAM, orders};
use crate::backend::activity::SUPERVISOR as NAME;
use crate::backend::complaints::Complaints;
use crate::slots::gateway::{Gateway, GatewayState as State};

const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// A gateway that has listened for this long is started again after [`FIRST_PAUSE`].
const HEALTHY_AFTER: Duration = Duration::from_secs(60);

unsafe extern "C" {
    /// The path of the program of Postgres.
    static my_exec_path: [c_char; pg_sys::MAXPGPATH as usize];
}

/// The gateway of a database, whether it runs or not.
pub struct Watch {
    gateway: &'static Gateway,
    database: String,
    child: Option<Child>,
    login: Option<Login>,
    /// When the gateway may be started, and the pause before the start after that.
    next_start: Instant,
    pause: Duration,
    listening_since: Option<Instant>,
    /// What was logged last, so that a fault that lasts is logged once.
    logged: String,
    complaints: Complaints,
}

impl Watch {
    pub fn new(gateway: &'static Gateway, database: String) -> Self {
        Self {
            gateway,
            database,
            child: None,
            login: None,
            next_start: Instant::now(),
            pause: FIRST_PAUSE,
            listening_since: None,
            logged: String::new(),
            complaints: Complaints::new(NAME),
        }
    }

    /// A descriptor that is readable when there is something to do.
    pub fn fd(&self) -> Option<i32> {
        self.child.as_ref().map(Child::fd)
    }

    /// Returns whether the gateway has ever listened.
    pub fn has_listened(&self) -> bool {
        self.listening_since.is_some()
    }

    /// Does what there is to do. Returns the time after which it is to be called again, whatever happens.
    pub fn turn(&mut self) -> Option<Duration> {
        self.follow();
        if self.child.is_none() {
            let now = Instant::now();
            if now < self.next_start {
                return Some(self.next_start - now);
            }
            self.start();
        }
        None
    }

    /// Tells the gateway the settings again, also if they are the same: the files that they name may have changed. A
    /// gateway that does not run is started.
    pub fn reload(&mut self) {
        let Some(child) = &mut self.child else {
            self.pause = FIRST_PAUSE;
            self.next_start = Instant::now();
            return;
        };
        if !self.login.as_ref().is_some_and(Login::is_current) {
            match Login::renew(&self.database) {
                Ok(login) => self.login = Some(login),
                Err(failure) => self.complaints.warn(&failure),
            }
        }
        if let Some(login) = &self.login {
            child.tell(&orders::line(&self.database, &login.dsns));
        }
    }

    /// Ends the gateway, and waits for its requests while `may_wait` says so.
    pub fn end(self, may_wait: impl FnMut(Duration) -> bool) {
        if let Some(child) = self.child {
            child.end(may_wait);
        }
        self.gateway.set_gateway(None, SystemTime::now());
    }

    fn start(&mut self) {
        self.next_start = Instant::now() + self.pause;
        self.pause = (2 * self.pause).min(LONGEST_PAUSE);
        self.listening_since = None;
        let login = match Login::renew(&self.database) {
            Ok(login) => login,
            Err(failure) => {
                let what = format!("could not {}: {}", failure.step.to_string_lossy(), failure.message);
                return self.report(State::Failed, "", &what, "See the server log.");
            }
        };
        let program = program();
        match Child::start(&program, &orders::line(&self.database, &login.dsns)) {
            Ok(child) => {
                // What it reported before, such as a port that is in use, is shown until it reports something else.
                if self.gateway.state() != State::Failed {
                    self.gateway.report(State::Starting, "", "the gateway is being started", "");
                }
                self.gateway.set_gateway(Some(child.pid()), SystemTime::now());
                self.child = Some(child);
            }
            Err(error) => self.report(
                State::Failed,
                "",
                &format!("{} cannot be started: {error}", program.display()),
                "Install it beside the programs of this server, as make install does.",
            ),
        }
        self.login = Some(login);
    }

    /// Processes what the gateway has reported, and its end.
    fn follow(&mut self) {
        let Some(child) = &mut self.child else { return };
        let (reports, ended) = (child.reports(), child.ended());
        for report in reports {
            self.take(report);
        }
        if let Some(status) = ended {
            self.bury(status);
        }
    }

    fn take(&mut self, report: Report) {
        match report {
            Report::Listening { address } => {
                self.listening_since.get_or_insert_with(Instant::now);
                let message = format!("the gateway listens on {address} for database \"{}\"", self.database);
                if self.logged != message {
                    log!("{NAME}: {message}");
                    self.logged = message;
                }
                self.gateway.report(State::Listening, &address, "requests are answered", "");
            }
            Report::Refused { address, error, hint } => {
                let what = format!("requests are answered with the former settings: {error}");
                self.report(State::Listening, &address, &what, &hint);
            }
            Report::Failed { error, hint } => self.report(State::Failed, "", &error, &hint),
            Report::CannotConnect { error } => {
                let hint = match self.login.as_ref().and_then(|login| login.pg_hba_line.as_ref()) {
                    Some(line) => {
                        format!("If pg_hba.conf is the reason, add this line before all others and reload: {line}")
                    }
                    None => "See hydra_webhooks.gateway_conninfo.".into(),
                };
                self.report(State::Failed, "", &format!("the gateway cannot log in: {error}"), &hint);
            }
        }
    }

    /// Records that the gateway has ended without being asked to.
    fn bury(&mut self, status: ExitStatus) {
        self.child = None;
        self.gateway.set_gateway(None, SystemTime::now());
        if self.listening_since.take().is_some_and(|since| since.elapsed() >= HEALTHY_AFTER) {
            self.pause = FIRST_PAUSE;
        }
        // Counted from its end.
        self.next_start = self.next_start.max(Instant::now() + FIRST_PAUSE);
        if self.gateway.state() != State::Failed {
            let how = match status.signal() {
                Some(signal) => format!("was ended by signal {signal}"),
                None => format!("ended with status {}", status.code().unwrap_or_default()),
            };
            self.logged.clear();
            self.report(
                State::Crashed,
                "",
                &format!("the gateway {how}"),
                &format!("It is started again within {} s. The server log has what it wrote.", LONGEST_PAUSE.as_secs()),
            );
        }
    }

    /// Shows and logs what is wrong.
    fn report(&mut self, state: State, address: &str, what: &str, hint: &str) {
        if self.logged != what {
            let message = format!("{NAME}: {what}");
            ErrorReport::new(PgSqlErrorCode::ERRCODE_EXTERNAL_ROUTINE_EXCEPTION, message, NAME)
                .set_hint(hint)
                .report(PgLogLevel::WARNING);
            self.logged = what.to_owned();
        }
        self.gateway.report(state, address, what, hint);
    }
}

/// Returns the path of the program of the gateway: in the directory of that of Postgres.
fn program() -> PathBuf {
    // SAFETY: a C string that is set before any process of the server starts.
    let postgres = unsafe { CStr::from_ptr((&raw const my_exec_path).cast()) };
    PathBuf::from(OsStr::from_bytes(postgres.to_bytes())).with_file_name(PROGRAM)
}
