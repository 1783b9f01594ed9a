//! What deliveries cost in addition to time.
//!
//! Transactions are counted by their ids: Postgres gives one to each that writes, and only those wait for a disk.

use std::fs;
use std::ops::Sub;
use std::path::Path;
use std::time::Duration;

use postgres::Client;

/// The unit of /proc/<pid>/stat on Linux.
const TICK: Duration = Duration::from_millis(10);

/// What the server has used since its start.
#[derive(Clone, Copy)]
pub struct Usage {
    pub cpu: Duration,
    /// CPU time of the main thread of the dispatcher, the only thread that uses Postgres.
    pub main_cpu: Duration,
    pub wal_bytes: i64,
    pub commits: i64,
}

/// What the server has used for one delivery.
#[derive(Clone, Copy)]
pub struct Cost {
    pub cpu_micros: f64,
    pub main_cpu_micros: f64,
    pub wal_bytes: f64,
    pub commits: f64,
}

impl Usage {
    pub fn now(process: i32, sql: &mut Client) -> Self {
        const WRITTEN: &str = "SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint,
                                      pg_snapshot_xmax(pg_current_snapshot())::text::bigint";
        let row = sql.query_one(WRITTEN, &[]).expect("the server answers");
        let main_cpu = cpu_in(format!("/proc/{process}/task/{process}"));
        Self { cpu: cpu_of(process), main_cpu, wal_bytes: row.get(0), commits: row.get(1) }
    }

    pub fn per(&self, deliveries: usize) -> Cost {
        let deliveries = deliveries as f64;
        Cost {
            cpu_micros: self.cpu.as_secs_f64() * 1e6 / deliveries,
            main_cpu_micros: self.main_cpu.as_secs_f64() * 1e6 / deliveries,
            wal_bytes: self.wal_bytes as f64 / deliveries,
            commits: self.commits as f64 / deliveries,
        }
    }
}

impl Sub for Usage {
    type Output = Usage;

    fn sub(self, before: Usage) -> Usage {
        Usage {
            cpu: self.cpu - before.cpu,
            main_cpu: self.main_cpu - before.main_cpu,
            wal_bytes: self.wal_bytes - before.wal_bytes,
            commits: self.commits - before.commits,
        }
    }
}

/// Returns the CPU time of a process with all its threads, including those that have ended.
pub fn cpu_of(process: i32) -> Duration {
    cpu_in(format!("/proc/{process}"))
}

/// Returns the CPU time of this process, without the threads that have this name.
pub fn own_cpu_without(name: &str) -> Duration {
    let threads = fs::read_dir("/proc/self/task").expect("/proc is mounted").flatten().map(|entry| entry.path());
    let named = threads.filter(|path| fs::read_to_string(path.join("comm")).is_ok_and(|found| found.trim() == name));
    cpu_in("/proc/self") - named.map(cpu_in).sum::<Duration>()
}

fn cpu_in(folder: impl AsRef<Path>) -> Duration {
    let text = fs::read_to_string(folder.as_ref().join("stat")).expect("it runs");
    // The name of the program comes before them and may contain any characters. The times are the 12th and 13th fields
    // after it.
    let (_, behind) = text.rsplit_once(')').expect("a name in parentheses");
    let fields: Vec<&str> = behind.split_whitespace().collect();
    let ticks: u32 = fields[11..13].iter().map(|ticks| ticks.parse::<u32>().expect("a number")).sum();
    TICK * ticks
}

/// Returns the private memory of a process in MB, without shared memory such as the shared buffers.
pub fn own_memory_of(process: i32) -> f64 {
    memory(process, "RssAnon:")
}

/// Returns the memory of a process in MB, including the shared buffers that it has used.
pub fn memory_of(process: i32) -> f64 {
    memory(process, "VmRSS:")
}

/// Returns the number of threads of a process.
pub fn threads_of(process: i32) -> f64 {
    status(process, "Threads:")
}

fn memory(process: i32, name: &str) -> f64 {
    status(process, name) / 1024.0
}

/// Returns a number, or a number of kB, of the status of a process.
fn status(process: i32, name: &str) -> f64 {
    let text = fs::read_to_string(format!("/proc/{process}/status")).expect("the process runs");
    let line = text.lines().find_map(|line| line.strip_prefix(name)).expect("a line of that name");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}
