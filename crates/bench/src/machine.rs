//! The machine that the figures were measured on.

use std::process::Command;
use std::{env, fs};

use serde_json::{Value, json};

pub fn describe() -> Value {
    json!({
        "cores": std::thread::available_parallelism().map_or(0, usize::from),
        "processor": line("/proc/cpuinfo", "model name"),
        "memory": line("/proc/meminfo", "MemTotal"),
        "postgres": postgres(),
        "processors_are_shared": sharing(),
        "date": said_by(Command::new("date").args(["-u", "+%Y-%m-%d %H:%M UTC"])),
    })
}

fn line(file: &str, name: &str) -> String {
    let text = fs::read_to_string(file).unwrap_or_default();
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.split_once(':'));
    value.map_or(String::new(), |(_, value)| value.trim().to_string())
}

/// Returns how the kernel distributes the processors: equally among all threads, or among sessions. Each process of a
/// Postgres server has its own session.
fn sharing() -> &'static str {
    let by_session = fs::read_to_string("/proc/sys/kernel/sched_autogroup_enabled").is_ok_and(|on| on.trim() == "1");
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    // The first form is version 1, the second version 2.
    let in_root = groups.lines().any(|line| line.ends_with(":cpu:/") || line.ends_with(":cpu,cpuacct:/"))
        || groups.trim() == "0::/";
    if by_session && in_root { "by session (sched_autogroup)" } else { "by thread" }
}

fn postgres() -> String {
    let programs = env::var_os("HYDRA_PG_BIN").unwrap_or_default();
    said_by(Command::new(std::path::Path::new(&programs).join("postgres")).arg("--version"))
}

fn said_by(command: &mut Command) -> String {
    let output = command.output().map(|output| output.stdout).unwrap_or_default();
    String::from_utf8_lossy(&output).trim().to_string()
}
