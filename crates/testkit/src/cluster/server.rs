//! Starting, stopping and killing the server of a cluster.

use std::fs;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::{MutexGuard, PoisonError};

use super::Cluster;
use super::place::Owner;
use super::processes::{children_of, is_running, send_signal};
use crate::{PATIENCE, wait_until};

/// How `pg_ctl stop` ends a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopMode {
    /// Waits until all clients have disconnected.
    Smart,
    /// Ends the sessions of clients, and writes a checkpoint.
    Fast,
    /// Stops at once. The next start has to recover, as after a crash of the server.
    Immediate,
}

/// A shell script that starts the server: it runs in the directory of the cluster and ends with `exec "$@"`. Under root
/// it runs as root.
#[derive(Clone, Copy)]
pub struct Surroundings {
    pub script: &'static str,
    /// Whether it mounts something, which needs root and is undone when the server ends.
    pub mounts: bool,
}

impl Cluster {
    /// Promotes a standby, and returns when it accepts writes.
    pub fn promote(&self) {
        self.must(self.program("pg_ctl").args(["promote", "--silent", "--pgdata"]).arg(self.data()));
    }

    /// Starts the stopped server again, on the same data.
    pub fn start_again(&self) {
        let mut server = self.server();
        assert!(server.is_none(), "the server of {} runs already", self.directory.display());
        let mut command = self.server_command();
        // In its own process group: Ctrl-C ends the tests, and the keeper then stops the server.
        command.arg("-D").arg(self.data()).process_group(0);
        let log = fs::OpenOptions::new().create(true).append(true).open(self.log_file());
        let log = log.and_then(|log| Ok((log.try_clone()?, log)));
        let (out, err) = log.unwrap_or_else(|error| panic!("{}: {error}", self.log_file().display()));
        let mut child = command.stdout(out).stderr(err).spawn().expect("the server's program starts");

        let mut ended = None;
        wait_until("the server is ready", PATIENCE, || {
            ended = child.try_wait().expect("it is our child process");
            ended.is_some() || self.is_ready(&child)
        });
        if let Some(status) = ended {
            panic!("the server ended with {status}");
        }
        *server = Some(child);
    }

    fn server_command(&self) -> Command {
        let Some(Surroundings { script, mounts }) = self.surroundings else { return self.program("postgres") };
        let mut command = Command::new(if mounts { "unshare" } else { "/bin/sh" });
        if mounts {
            command.args(["--mount", "/bin/sh"]);
        }
        command.args(["-ec", script, "sh"]).current_dir(&self.directory).envs(self.environment()).stdin(Stdio::null());
        if let Some(Owner { user, group }) = self.owner {
            command.args(["setpriv", "--clear-groups", &format!("--reuid={user}"), &format!("--regid={group}")]);
        }
        command.arg(self.programs.join("postgres"));
        command
    }

    /// Stops the server, and returns when it has ended.
    pub fn stop(&self, mode: StopMode) {
        let mode = match mode {
            StopMode::Smart => "smart",
            StopMode::Fast => "fast",
            StopMode::Immediate => "immediate",
        };
        let mut server = self.server().take().expect("the server runs");
        self.must(
            self.program("pg_ctl").args(["stop", "--no-wait", "--silent", "--mode", mode, "--pgdata"]).arg(self.data()),
        );
        wait_until("the server has ended", PATIENCE, || server.try_wait().expect("it is our child process").is_some());
    }

    /// Kills the postmaster and all its children at once, and returns when they have ended. This is like a power
    /// failure, except that the kernel still writes what the server has passed to it.
    pub fn kill9_everything(&self) {
        let mut server = self.server().take().expect("the server runs");
        let children = children_of(server.id());
        server.kill().expect("it is our child process");
        for &pid in &children {
            // It may have ended by itself in the meantime.
            let _ = send_signal("KILL", pid);
        }
        server.wait().expect("it is our child process");
        // While one of them runs, the shared memory is in use and the server cannot be started.
        wait_until("all server processes are gone", PATIENCE, || !children.iter().any(|&pid| is_running(pid)));
    }

    /// Kills one server process with SIGKILL. Postgres then ends every session and recovers.
    pub fn kill9(&self, pid: i32) {
        self.signal("KILL", pid);
        wait_until(format!("process {pid} is gone"), PATIENCE, || !is_running(pid));
    }

    /// Sends a signal by name (`TERM`, `STOP`, `CONT`, …) to one server process.
    pub fn signal(&self, name: &str, pid: i32) {
        assert!(send_signal(name, pid), "cannot send SIG{name} to process {pid}");
    }

    pub(super) fn server(&self) -> MutexGuard<'_, Option<Child>> {
        self.server.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the server accepts connections. It writes its status into the last line of a file that begins with its
    /// process id.
    fn is_ready(&self, server: &Child) -> bool {
        let text = fs::read_to_string(self.data().join("postmaster.pid")).unwrap_or_default();
        let mut lines = text.lines();
        lines.next() == Some(server.id().to_string().as_str())
            && lines.last().is_some_and(|line| line.trim() == "ready")
    }
}
