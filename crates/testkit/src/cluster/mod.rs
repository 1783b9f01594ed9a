//! A temporary Postgres cluster, for one test or shared by many.
//!
//! ```ignore
//! let cluster = Cluster::start(&[("hydra_webhooks.max_pending", "1000")]);
//! let mut helpdesk = cluster.create_database("helpdesk");
//! helpdesk.batch_execute("SELECT hydra.webhook_create(…)").unwrap();
//! ```
//!
//! The server's programs come from the private installation that `scripts/build` stages (`HYDRA_PG_BIN`), so nothing of
//! the machine's own Postgres is touched. A cluster listens on a Unix socket in its own directory and nowhere else, so
//! any number of them run side by side. Postgres refuses to run as root; under root its programs run as the user
//! `postgres`.
//!
//! A cluster is stopped and removed by its *keeper*, a small shell that waits for the end of a pipe held by the test
//! process. So it is removed when the value is dropped, and also when the test process is killed. After a panic the end
//! of the server's log is printed; with `HYDRA_KEEP` set, the cluster is then left as it is.

mod copies;
mod place;
mod processes;
mod server;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::{env, fs, thread};

use postgres::{Client, Config, NoTls};

use crate::{PATIENCE, run, wait_until};
use place::{Owner, keeper, new_directory, owner, programs, run_as};
pub use processes::{cpu_time, is_running};
pub use server::{StopMode, Surroundings};

/// Part of the socket's file name; no TCP port is opened. It differs from the default, so that a client without
/// `PGHOST` never connects to one of these clusters.
const PORT: u16 = 54321;

pub struct Cluster {
    programs: PathBuf,
    /// Holds everything that this cluster has: data, socket, log.
    directory: PathBuf,
    owner: Option<Owner>,
    surroundings: Option<Surroundings>,
    /// The server is a child process of the test, so that its end is noticed at once. If it were an orphan, process 1
    /// might take seconds to wait for it, and until then the server would seem to run.
    server: Mutex<Option<Child>>,
    keeper: Child,
}

impl Cluster {
    /// Starts a new cluster with the extension preloaded and plain HTTP to loopback allowed. `settings` override all
    /// other settings; a value is written without quotes.
    pub fn start(settings: &[(&str, &str)]) -> Cluster {
        Cluster::start_within(None, settings)
    }

    /// Starts a cluster for many tests, each with its own database.
    pub fn start_shared(settings: &[(&str, &str)]) -> Cluster {
        // Each database has a dispatcher, which takes a worker process.
        let cluster = Cluster::start(&[&[("max_worker_processes", "128")], settings].concat());
        // Creates the roles, so that no two tests create them at the same time.
        cluster.create_database("first");
        cluster
    }

    /// Starts a cluster. `surroundings` is a shell script that starts its server.
    pub fn start_within(surroundings: Option<Surroundings>, settings: &[(&str, &str)]) -> Cluster {
        let cluster = Cluster::new(surroundings, settings);
        cluster.start_again();
        cluster
    }

    /// Makes a new cluster, without starting its server.
    fn new(surroundings: Option<Surroundings>, settings: &[(&str, &str)]) -> Cluster {
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
            // Durability is tested, so it is not switched off.
            ("fsync", "on"),
            ("max_prepared_transactions", "20"),
            // To compile a statement is an error, because this library compiles none. It takes seconds, and no statement of ours
            // may seem so expensive that Postgres does it.
            ("jit_provider", "hydra_webhooks"),
            ("timezone", "UTC"),
            ("log_timezone", "UTC"),
            ("log_line_prefix", "%m [%p] %b: "),
        ]);
        cluster.write_settings(settings);
        cluster
    }

    /// Changes settings and reloads them. Backends apply them before their next command, background workers in the next
    /// iteration of their loops, so tests have to wait for the effect.
    pub fn set(&self, settings: &[(&str, &str)]) {
        self.write_settings(settings);
        self.must(self.program("pg_ctl").args(["reload", "--silent", "--pgdata"]).arg(self.data()));
    }

    /// Changes settings of a server that does not run.
    pub fn set_while_stopped(&self, settings: &[(&str, &str)]) {
        assert!(self.server().is_none(), "the server runs");
        self.write_settings(settings);
    }

    /// Returns a session of the superuser `postgres`.
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

    /// Creates a role that is a member of `groups` and has no other privileges, and returns a session of this role.
    pub fn connect_as_new_role(&self, database: &str, role: &str, groups: &[&str]) -> Client {
        let mut superuser = self.connect(database);
        run(&mut superuser, &format!("CREATE ROLE {role} LOGIN"));
        for group in groups {
            run(&mut superuser, &format!("GRANT {group} TO {role}"));
        }
        self.connect_as(database, role)
    }

    /// Returns the configuration of a connection, for callers that need other parameters, for example a password.
    pub fn config(&self) -> Config {
        let mut config = Config::new();
        config.host_path(&self.directory).port(PORT).user("postgres").dbname("postgres");
        config
    }

    /// Creates a database with the extension, and returns a session of the superuser in it.
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

    /// Returns the environment in which `psql` and other programs connect to this cluster as its superuser.
    fn environment(&self) -> Vec<(&'static str, String)> {
        vec![
            ("PGHOST", self.directory.to_string_lossy().into_owned()),
            ("PGPORT", PORT.to_string()),
            ("PGUSER", "postgres".into()),
        ]
    }

    /// Returns the connection string with which another cluster connects to a database as the superuser.
    pub fn conninfo(&self, database: &str) -> String {
        format!("host={} port={PORT} user=postgres dbname={database}", self.directory.display())
    }

    /// Makes a program that uses libpq connect to this cluster as its superuser.
    pub fn connect_with(&self, program: &mut Command) {
        program.envs(self.environment());
    }

    /// Returns a command for a program of the staged installation (`psql`, `pg_dump`, `pgbench`, …) that connects to
    /// this cluster and runs as its owner.
    pub fn program(&self, name: &str) -> Command {
        let mut command = Command::new(self.programs.join(name));
        // The owner may have no access to the current directory, and programs of Postgres want to return to it.
        command.current_dir("/").envs(self.environment()).stdin(Stdio::null());
        run_as(&mut command, self.owner);
        command
    }

    /// Returns the process id of the dispatcher of a database, if it runs now.
    pub fn find_dispatcher(&self, database: &str) -> Option<i32> {
        const QUERY: &str = "SELECT pid FROM pg_stat_activity
                             WHERE backend_type = 'hydra_webhooks dispatcher' AND datname = $1";
        // No panic: the server may be recovering at this moment.
        let mut client = self.try_connect_as("postgres", "postgres").ok()?;
        client.query_opt(QUERY, &[&database]).ok()?.map(|row| row.get(0))
    }

    /// Waits for the dispatcher of a database, and returns its process id.
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

    /// Returns everything that the server has logged.
    pub fn log(&self) -> String {
        fs::read(self.log_file()).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    pub fn data(&self) -> PathBuf {
        self.directory.join("data")
    }

    /// Returns a directory for files that the server can read and write. It is removed with the cluster.
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

    /// Runs a program to its end. The test fails if the program does.
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
        // The keeper removes the files. That takes seconds on a busy disk, so the test does not wait for it.
    }
}

fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}
