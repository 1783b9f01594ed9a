//! The test bed: a temporary cluster with the extension in a database, and the operations that workloads need.
//!
//! The cluster has the settings of a production server: all commits are durable, there is room for WAL, autovacuum is
//! on. Both sides of a ratio usually run on the same bed. A checkpoint during a sample would change its figure, so
//! checkpoints happen only when the bed requests them.

use std::fs;
use std::time::{Duration, Instant};

use postgres::Client;
use postgres::types::FromSqlOwned;
use testkit::cluster::Surroundings;
use testkit::{Cluster, wait_until};

use crate::cost::Usage;
use crate::receiver::Receiver;

const DATABASE: &str = "bench";

/// The time limit of one sample.
const PATIENCE: Duration = Duration::from_secs(600);

const SETTINGS: &[(&str, &str)] = &[
    ("fsync", "on"),
    ("shared_buffers", "512MB"),
    ("max_wal_size", "4GB"),
    ("checkpoint_timeout", "30min"),
    ("max_connections", "100"),
    ("autovacuum", "on"),
];

pub struct Bed {
    pub cluster: Cluster,
    /// A session of the superuser.
    pub sql: Client,
}

/// How long `pgbench` runs.
#[derive(Clone, Copy)]
pub enum Length {
    Seconds(u32),
    /// The number of transactions of each client.
    Transactions(u32),
}

impl Bed {
    /// Starts a bed. `settings` override the settings of the bed. Nothing is sent until [`Bed::send`] is called.
    pub fn start(settings: &[(&str, &str)]) -> Self {
        Self::on(Cluster::start(&[SETTINGS, settings].concat()))
    }

    /// Does the same in these surroundings.
    pub fn start_within(surroundings: Surroundings, settings: &[(&str, &str)]) -> Self {
        Self::on(Cluster::start_within(Some(surroundings), &[SETTINGS, settings].concat()))
    }

    fn on(cluster: Cluster) -> Self {
        let sql = cluster.create_database(DATABASE);
        let mut bed = Self { cluster, sql };
        bed.hold_back();
        bed
    }

    /// Returns another session of the superuser.
    pub fn session(&self) -> Client {
        self.cluster.connect(DATABASE)
    }

    pub fn run(&mut self, sql: &str) {
        self.sql.batch_execute(sql).unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    }

    /// Runs a query that returns one value, and returns this value.
    pub fn ask<T: FromSqlOwned>(&mut self, sql: &str) -> T {
        self.sql.query_one(sql, &[]).unwrap_or_else(|error| panic!("{sql}: {error:?}")).get(0)
    }

    /// Creates a subscription and returns its id. `more` are further arguments, `name => value`.
    pub fn subscribe(&mut self, url: &str, event_types: &str, more: &[&str]) -> i64 {
        let more: String = more.iter().map(|argument| format!(", {argument}")).collect();
        self.ask(&format!("SELECT id FROM hydra.webhook_create('{url}', '{{{event_types}}}'{more})"))
    }

    /// Emits `count` events in one transaction, with bodies of about 300 bytes.
    pub fn emit(&mut self, event_type: &str, count: usize) {
        self.run(&format!(
            "SELECT count(hydra.webhook_emit('{event_type}',
                 jsonb_build_object('id', n, 'subject', repeat('x', 130)))) FROM generate_series(1, {count}) AS n"
        ));
    }

    /// Queues `count` events of `ticket.created`. Then vacuums and checkpoints, as an idle server would do.
    pub fn queue_events(&mut self, count: usize) {
        self.queue_events_of("ticket.created", count);
    }

    pub fn queue_events_of(&mut self, event_type: &str, count: usize) {
        self.emit(event_type, count);
        self.settle();
    }

    /// Does now what autovacuum and the checkpointer would otherwise do during a sample.
    pub fn settle(&mut self) {
        self.run("VACUUM ANALYZE hydra.event");
        self.run("VACUUM ANALYZE hydra.delivery");
        self.run("CHECKPOINT");
    }

    /// Lets the dispatcher send.
    pub fn send(&mut self) {
        self.switch("on");
    }

    /// Stops the dispatcher from sending, and returns when no request is under way.
    pub fn hold_back(&mut self) {
        self.switch("off");
        const QUIET: &str = "SELECT state = 'off' AND in_flight = 0 FROM hydra.webhook_worker_status";
        wait_until("the dispatcher is off", PATIENCE, || self.ask(QUIET));
    }

    fn switch(&mut self, enabled: &str) {
        self.run(&format!("ALTER SYSTEM SET hydra_webhooks.enabled = {enabled}"));
        self.run("SELECT pg_reload_conf()");
    }

    /// Sends the queued deliveries, `deliveries` in number, all to this receiver. Returns the time until the last one
    /// has arrived. Then waits until the queue is empty; this is not part of the time, because the check takes 50 ms
    /// with 300,000 dead rows.
    pub fn drain(&mut self, deliveries: usize, receiver: &Receiver) -> Duration {
        let start = Instant::now();
        let all = receiver.arrived() + deliveries;
        self.send();
        let there = receiver.wait_for(all, PATIENCE);
        assert!(there, "{} of {all} requests arrived\n{}", receiver.arrived(), self.cluster.log());
        let took = start.elapsed();
        self.wait_for_empty_queue();
        self.hold_back();
        took
    }

    /// Deletes the queue, also in the memory of the dispatcher, which is started again for this.
    pub fn forget(&mut self) {
        self.hold_back();
        let former = self.dispatcher();
        self.run(&format!("SELECT pg_terminate_backend({former})"));
        self.cluster.new_dispatcher_pid(DATABASE, Some(former));
        self.run("TRUNCATE hydra.event, hydra.delivery");
        self.settle();
    }

    pub fn wait_for_empty_queue(&mut self) {
        const EMPTY: &str = "SELECT NOT EXISTS (SELECT FROM hydra.event)
                                AND NOT EXISTS (SELECT FROM hydra.delivery WHERE state = 'pending')";
        wait_until("the queue is empty", PATIENCE, || self.ask(EMPTY));
    }

    /// Runs pgbench with `clients` that repeat this script with prepared statements. Returns the transactions per
    /// second. `more` are further arguments of pgbench.
    pub fn pgbench(&self, script: &str, clients: u32, length: Length, more: &[&str]) -> f64 {
        let file = self.cluster.directory().join("script.sql");
        fs::write(&file, script).expect("a file can be written into the directory of the cluster");
        let (option, amount) = match length {
            Length::Seconds(seconds) => ("--time", seconds),
            Length::Transactions(count) => ("--transactions", count),
        };
        let mut command = self.cluster.program("pgbench");
        command.args(["--no-vacuum", "--protocol=prepared", "--jobs=1", option, &amount.to_string()]);
        command.args(["--client", &clients.to_string(), "--file"]).arg(file).args(more).arg(DATABASE);
        let output = command.output().expect("pgbench is there");
        let (said, failed) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        let tps = said.lines().find_map(|line| line.strip_prefix("tps = ")?.split(' ').next()?.parse().ok());
        tps.unwrap_or_else(|| panic!("pgbench failed: {said}\n{failed}"))
    }

    pub fn dispatcher(&self) -> i32 {
        self.cluster.dispatcher_pid(DATABASE)
    }

    /// Stops the process of the dispatcher by a signal, while it holds no lock.
    pub fn freeze_dispatcher(&mut self) {
        let dispatcher = self.dispatcher();
        wait_until("the dispatcher is stopped between two transactions", PATIENCE, || {
            self.cluster.signal("STOP", dispatcher);
            let idle: bool = self.ask(&format!("SELECT NOT EXISTS (SELECT FROM pg_locks WHERE pid = {dispatcher})"));
            if !idle {
                self.cluster.signal("CONT", dispatcher);
            }
            idle
        });
    }

    pub fn thaw_dispatcher(&self) {
        self.cluster.signal("CONT", self.dispatcher());
    }

    /// Returns the number of deliveries that have had a row in the retry queue. If the receiver is quick and never
    /// fails, this is 0, unless the receiver seemed slow for a moment.
    pub fn retry_queue_rows(&mut self) -> i64 {
        self.ask("SELECT n_tup_ins FROM pg_stat_user_tables WHERE relid = 'hydra.delivery'::regclass")
    }

    /// Returns what was used since the start: CPU time of the dispatcher, WAL and transactions of the server.
    pub fn usage(&mut self) -> Usage {
        let dispatcher = self.dispatcher();
        Usage::now(dispatcher, &mut self.sql)
    }
}
