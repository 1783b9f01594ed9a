//! A throw-away Postgres cluster for one test.
//!
//! ```ignore
//! let cluster = Cluster::start(&[("hydra_webhooks.max_pending", "1000")]);
//! let mut helpdesk = cluster.create_database("helpdesk");
//! helpdesk.batch_execute("SELECT hydra.webhook_create(…)").unwrap();
//! ```
//!
//! The server's programs come from the private installation that `scripts/build` stages (`HYDRA_PG_BIN`), so nothing
//! of the machine's own Postgres is touched. A cluster listens on a Unix socket in a directory of its own and nowhere
//! else, so any number of them run side by side. Postgres refuses to run as root; under root its programs run as the
//! user `postgres`.
//!
//! A cluster is stopped and removed by its *keeper*, a small shell that waits for the end of a pipe held by the test
//! process. So it goes away when the value is dropped, and also when the test process is killed half-way. After a
//! panic, the end of the server's log is printed; with `HYDRA_KEEP` set, the cluster is then left as it is.

use std::fmt::Display;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use std::{env, fs, process, thread};

use postgres::{Client, Config, NoTls};

/// Part of the socket's file name, and never opened as a TCP port. Differs from the default, so that a client that
/// was given no `PGHOST` cannot meet one of our clusters, nor one of ours the machine's.
const PORT: u16 = 54321;

/// The longest path of a Unix socket, and what Postgres appends to its directory.
const SOCKET_PATH_LIMIT: usize = 107;
const SOCKET_FILE: &str = "/.s.PGSQL.54321.lock";

/// How long starting and stopping may take on a busy machine with two cores.
const PATIENCE: Duration = Duration::from_secs(60);

/// How `pg_ctl stop` ends a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopMode {
    /// Waits for the clients to leave.
    Smart,
    /// Ends the clients' sessions, writes a checkpoint.
    Fast,
    /// Leaves recovery to the next start, as after a power cut of the server process.
    Immediate,
}

pub struct Cluster {
    programs: PathBuf,
    /// Holds everything that this cluster has: data, socket, log.
    directory: PathBuf,
    owner: Option<Owner>,
    surroundings: Option<Surroundings>,
    /// Our own child, so that its end is seen at once: process 1 may take seconds to collect somebody's remains, and
    /// until then Postgres takes the server to be running.
    server: Mutex<Option<Child>>,
    keeper: Child,
}

/// The user whom the server's programs run as, when we are root.
#[derive(Clone, Copy)]
struct Owner {
    user: u32,
    group: u32,
}

/// What a server is started by: a shell script in the directory of the cluster, which ends with `exec "$@"`. Under root,
/// it still runs as root.
#[derive(Clone, Copy)]
pub struct Surroundings {
    pub script: &'static str,
    /// Whether it mounts something, which takes root and is undone when the server ends.
    pub mounts: bool,
}

impl Cluster {
    /// Starts a new cluster with the extension preloaded, plain HTTP to loopback allowed, and then `settings`, which
    /// overrule all others. A value is written as it would follow `name = ` inside quotes.
    pub fn start(settings: &[(&str, &str)]) -> Cluster {
        Cluster::start_within(None, settings)
    }

    /// The same, with a server that is started in these surroundings.
    pub fn start_within(surroundings: Option<Surroundings>, settings: &[(&str, &str)]) -> Cluster {
        let programs = programs();
        let owner = owner();
        let directory = new_directory(owner);
        let keeper = keeper(&programs, &directory, owner);
        let cluster = Cluster { programs, directory, owner, surroundings, server: Mutex::new(None), keeper };

        cluster.must(
            cluster
                .program("initdb")
                .args(["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"])
                .arg("--no-instructions")
                .arg("--pgdata")
                .arg(cluster.data()),
        );
        let socket_directory = cluster.directory.to_str().expect("a temporary directory with a UTF-8 name");
        cluster.write_settings(&[
            ("listen_addresses", ""),
            ("port", &PORT.to_string()),
            ("unix_socket_directories", socket_directory),
            ("shared_preload_libraries", "hydra_webhooks"),
            ("hydra_webhooks.allow_http", "on"),
            ("hydra_webhooks.allow_networks", "127.0.0.0/8"),
            // Durability is under test, so it stays on.
            ("fsync", "on"),
            ("max_prepared_transactions", "20"),
            ("timezone", "UTC"),
            ("log_timezone", "UTC"),
            ("log_line_prefix", "%m [%p] %b: "),
        ]);
        cluster.write_settings(settings);
        cluster.start_again();
        cluster
    }

    /// Starts a standby of this cluster, as it is now, which follows it.
    pub fn start_standby(&self) -> Cluster {
        let (programs, owner) = (self.programs.clone(), self.owner);
        let directory = new_directory(owner);
        let keeper = keeper(&programs, &directory, owner);
        let standby = Cluster { programs, directory, owner, surroundings: None, server: Mutex::new(None), keeper };
        let mut copy = self.program("pg_basebackup");
        self.must(
            copy.args(["--checkpoint=fast", "--write-recovery-conf", "--no-sync", "--pgdata"]).arg(standby.data()),
        );
        let socket_directory = standby.directory.to_str().expect("a temporary directory with a UTF-8 name");
        standby.write_settings(&[("unix_socket_directories", socket_directory)]);
        standby.start_again();
        standby
    }

    /// Makes a standby a server of its own, and returns when it is one.
    pub fn promote(&self) {
        self.must(self.program("pg_ctl").args(["promote", "--silent", "--pgdata"]).arg(self.data()));
    }

    /// Starts the stopped server again, on the same data.
    pub fn start_again(&self) {
        let mut server = self.server();
        assert!(server.is_none(), "the server of {} runs already", self.directory.display());
        let mut command = self.server_command();
        // A group of its own: Ctrl-C at the tests is not for the server, which its keeper ends.
        command.arg("-D").arg(self.data()).process_group(0);
        let log = fs::OpenOptions::new().create(true).append(true).open(self.log_file());
        let log = log.and_then(|log| Ok((log.try_clone()?, log)));
        let (out, err) = log.unwrap_or_else(|error| panic!("{}: {error}", self.log_file().display()));
        let mut child = command.stdout(out).stderr(err).spawn().expect("the server's program starts");

        let mut ended = None;
        wait_until("the server is ready", PATIENCE, || {
            ended = child.try_wait().expect("it is our child");
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
        wait_until("the server has ended", PATIENCE, || server.try_wait().expect("it is our child").is_some());
    }

    /// Kills the postmaster and all its children at once, and returns when they are gone: what a power cut leaves,
    /// save for what the kernel had not written yet.
    pub fn kill9_everything(&self) {
        let mut server = self.server().take().expect("the server runs");
        let children = children_of(self.postmaster_pid());
        server.kill().expect("it is our child");
        for &pid in &children {
            // One may have ended by itself meanwhile.
            let _ = send_signal("KILL", pid);
        }
        server.wait().expect("it is our child");
        // A start finds the shared memory still in use for as long as one of them lives.
        wait_until("all server processes are gone", PATIENCE, || !children.iter().any(|&pid| is_running(pid)));
    }

    /// `kill -9` of one server process. Postgres then ends every session and starts all over, by itself.
    pub fn kill9(&self, pid: i32) {
        self.signal("KILL", pid);
        wait_until(format!("process {pid} is gone"), PATIENCE, || !is_running(pid));
    }

    /// Sends a signal by name (`TERM`, `STOP`, `CONT`, …) to one server process.
    pub fn signal(&self, name: &str, pid: i32) {
        assert!(send_signal(name, pid), "cannot send SIG{name} to process {pid}");
    }

    /// Changes settings that a reload applies, and applies them. Backends take them up at their next command, workers
    /// at their next turn: wait for the effect.
    pub fn set(&self, settings: &[(&str, &str)]) {
        self.write_settings(settings);
        self.must(self.program("pg_ctl").args(["reload", "--silent", "--pgdata"]).arg(self.data()));
    }

    /// A session of the superuser `postgres`.
    pub fn connect(&self, database: &str) -> Client {
        self.connect_as(database, "postgres")
    }

    pub fn connect_as(&self, database: &str, role: &str) -> Client {
        self.try_connect_as(database, role)
            .unwrap_or_else(|error| panic!("cannot connect to {database} as {role}: {error:?}"))
    }

    pub fn try_connect_as(&self, database: &str, role: &str) -> Result<Client, postgres::Error> {
        self.config().dbname(database).user(role).connect(NoTls)
    }

    /// For what a plain [`Client`] does not do, such as an `application_name`.
    pub fn config(&self) -> Config {
        let mut config = Config::new();
        config.host_path(&self.directory).port(PORT).user("postgres").dbname("postgres");
        config
    }

    /// Makes a database with the extension in it, and returns a superuser's session there.
    pub fn create_database(&self, name: &str) -> Client {
        self.connect("postgres")
            .batch_execute(&format!("CREATE DATABASE {name}"))
            .unwrap_or_else(|error| panic!("cannot create database {name}: {error:?}"));
        let mut client = self.connect(name);
        client
            .batch_execute("CREATE EXTENSION hydra_webhooks")
            .unwrap_or_else(|error| panic!("cannot create the extension in {name}: {error:?}"));
        client
    }

    /// The environment with which `psql`, `pg_dump` and the like reach this cluster as its superuser.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        vec![
            ("PGHOST", self.directory.to_string_lossy().into_owned()),
            ("PGPORT", PORT.to_string()),
            ("PGUSER", "postgres".into()),
        ]
    }

    /// A program of the staged installation (`psql`, `pg_dump`, `pgbench`, …), pointed at this cluster and running as
    /// its owner.
    pub fn program(&self, name: &str) -> Command {
        let mut command = Command::new(self.programs.join(name));
        // The current directory may be one that the owner cannot enter, and Postgres programs want to come back to it.
        command.current_dir("/").envs(self.environment()).stdin(Stdio::null());
        run_as(&mut command, self.owner);
        command
    }

    pub fn postmaster_pid(&self) -> i32 {
        let file = self.data().join("postmaster.pid");
        let text = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let first = text.lines().next().unwrap_or_default();
        first.trim().parse().unwrap_or_else(|_| panic!("{} begins with {first:?}", file.display()))
    }

    /// The dispatcher of a database, if it runs now.
    pub fn find_dispatcher(&self, database: &str) -> Option<i32> {
        const QUERY: &str = "SELECT pid FROM pg_stat_activity
                             WHERE backend_type = 'hydra_webhooks dispatcher' AND datname = $1";
        // The server may be starting over at this very moment, hence no panic.
        let mut client = self.try_connect_as("postgres", "postgres").ok()?;
        client.query_opt(QUERY, &[&database]).ok()?.map(|row| row.get(0))
    }

    /// The dispatcher of a database, waited for.
    pub fn dispatcher_pid(&self, database: &str) -> i32 {
        self.new_dispatcher_pid(database, None)
    }

    /// Waits for a dispatcher other than `former`, which has ended or is about to.
    pub fn new_dispatcher_pid(&self, database: &str, former: Option<i32>) -> i32 {
        let mut found = None;
        wait_until(format!("{database} has a dispatcher"), PATIENCE, || {
            found = self.find_dispatcher(database).filter(|&pid| Some(pid) != former);
            found.is_some()
        });
        found.expect("wait_until returns when it is found")
    }

    /// All that the server has logged so far.
    pub fn log(&self) -> String {
        fs::read(self.log_file()).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    pub fn data(&self) -> PathBuf {
        self.directory.join("data")
    }

    /// A place for a test's own files that the server can read and write. Goes away with the cluster.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    fn log_file(&self) -> PathBuf {
        self.directory.join("log")
    }

    fn write_settings(&self, settings: &[(&str, &str)]) {
        let lines: String =
            settings.iter().map(|(name, value)| format!("{name} = '{}'\n", value.replace('\'', "''"))).collect();
        fs::OpenOptions::new()
            .append(true)
            .open(self.data().join("postgresql.conf"))
            .and_then(|mut file| file.write_all(lines.as_bytes()))
            .unwrap_or_else(|error| panic!("cannot write settings of {}: {error}", self.directory.display()));
    }

    fn server(&self) -> MutexGuard<'_, Option<Child>> {
        self.server.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The server itself says so, in the last line of a file that begins with its process id.
    fn is_ready(&self, server: &Child) -> bool {
        let text = fs::read_to_string(self.data().join("postmaster.pid")).unwrap_or_default();
        let mut lines = text.lines();
        lines.next() == Some(server.id().to_string().as_str())
            && lines.last().is_some_and(|line| line.trim() == "ready")
    }

    /// Runs a program to its end; its failure is the test's.
    fn must(&self, command: &mut Command) {
        match command.output() {
            Ok(output) if output.status.success() => {}
            failure => panic!("{command:?} failed: {failure:#?}"),
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("--- end of the server log of {}", self.directory.display());
            eprintln!("{}", last_lines(&self.log(), 60));
            if env::var_os("HYDRA_KEEP").is_some() {
                eprintln!("--- HYDRA_KEEP is set: {} is left as it is", self.directory.display());
                let _ = self.keeper.kill();
                let _ = self.keeper.wait();
                return;
            }
        }
        drop(self.keeper.stdin.take());
        if let Some(mut server) = self.server().take() {
            let _ = server.wait();
        }
        // The keeper goes on with the files, which takes seconds on a busy disk: nobody needs to wait for that.
    }
}

/// Asks again and again until `condition` holds. Panics, naming `what`, when `patience` is over.
#[track_caller]
pub fn wait_until(what: impl Display, patience: Duration, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    let mut pause = Duration::from_millis(1);
    while !condition() {
        assert!(start.elapsed() < patience, "waited {patience:?} in vain until {what}");
        thread::sleep(pause);
        // Quick for what takes a moment, gentle on a busy machine for what takes longer.
        pause = (pause * 2).min(Duration::from_millis(50));
    }
}

fn programs() -> PathBuf {
    let programs = env::var_os("HYDRA_PG_BIN").map(PathBuf::from);
    programs.filter(|programs| programs.join("postgres").exists()).unwrap_or_else(|| {
        panic!("these tests need HYDRA_PG_BIN: run `make test`, which prepares a private Postgres with the extension")
    })
}

/// None when we are no root, and everything simply runs as ourselves.
fn owner() -> Option<Owner> {
    use std::os::unix::fs::MetadataExt;
    let ourselves = fs::metadata("/proc/self").expect("/proc is mounted").uid();
    if ourselves != 0 {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").expect("/etc/passwd is readable");
    let owner = users.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next()? == "postgres").then_some(())?;
        let (user, group) = (fields.nth(1)?, fields.next()?);
        Some(Owner { user: user.parse().ok()?, group: group.parse().ok()? })
    });
    Some(owner.expect("the user postgres exists, as Postgres refuses to run as root: run `make prepare`"))
}

fn run_as(command: &mut Command, owner: Option<Owner>) {
    if let Some(Owner { user, group }) = owner {
        // Setting a user as root clears the supplementary groups as well.
        command.uid(user).gid(group);
    }
}

fn new_directory(owner: Option<Owner>) -> PathBuf {
    static COUNTER: AtomicU32 = AtomicU32::new(0);
    let name = format!("hw.{}.{}", process::id(), COUNTER.fetch_add(1, Ordering::Relaxed));
    let mut directory = env::temp_dir().join(&name);
    if directory.as_os_str().len() + SOCKET_FILE.len() > SOCKET_PATH_LIMIT {
        directory = Path::new("/tmp").join(&name);
    }
    let made = fs::create_dir(&directory).and_then(|()| match owner {
        Some(Owner { user, group }) => std::os::unix::fs::chown(&directory, Some(user), Some(group)),
        None => Ok(()),
    });
    made.unwrap_or_else(|error| panic!("cannot make {}: {error}", directory.display()));
    directory
}

/// Starts the shell that stops the cluster and removes its files once our end of its standard input is closed.
fn keeper(programs: &Path, directory: &Path, owner: Option<Owner>) -> Child {
    // It looks for itself whether the server has ended. To pg_ctl, one whose parent is slow to collect it still runs.
    const SCRIPT: &str = r#"
        cat
        read -r server < "$2/data/postmaster.pid"
        "$1/pg_ctl" stop --no-wait --silent --mode immediate --pgdata "$2/data"
        while grep -q "^State:.[DRSTtI]" "/proc/${server:-none}/status"; do sleep 0.01; done
        rm -rf "$2"
    "#;
    let mut command = Command::new("/bin/sh");
    command.args(["-c", SCRIPT, "keeper"]).arg(programs).arg(directory).current_dir("/");
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    // A group of its own: Ctrl-C ends the tests, and the keeper has to outlive them.
    command.process_group(0);
    run_as(&mut command, owner);
    command.spawn().expect("/bin/sh starts")
}

fn send_signal(name: &str, pid: i32) -> bool {
    // The shell's own kill, as a bare machine has no other.
    let mut command = Command::new("/bin/sh");
    command.args(["-c", "kill -s \"$1\" \"$2\"", "kill", name, &pid.to_string()]).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// What is left of an ended process until its parent collects it does not count.
fn is_running(pid: i32) -> bool {
    process_status(pid).is_some_and(|(state, _)| state != 'Z' && state != 'X')
}

fn children_of(parent: i32) -> Vec<i32> {
    let processes = fs::read_dir("/proc").expect("/proc is mounted");
    processes
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|&pid| process_status(pid).is_some_and(|(_, of)| of == parent))
        .collect()
}

/// State and parent of a process.
fn process_status(pid: i32) -> Option<(char, i32)> {
    let line = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in the second field may itself hold blanks and parentheses.
    let mut fields = line[line.rfind(')')? + 1..].split_ascii_whitespace();
    Some((fields.next()?.chars().next()?, fields.next()?.parse().ok()?))
}

fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}
