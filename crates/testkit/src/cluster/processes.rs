//! Processes of a server, from `/proc`.

use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

pub(super) fn send_signal(name: &str, pid: i32) -> bool {
    // `kill` of the shell: a small machine may have no program of this name.
    let mut command = Command::new("/bin/sh");
    command.args(["-c", "kill -s \"$1\" \"$2\"", "kill", name, &pid.to_string()]).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// Whether a process runs. A zombie does not.
pub fn is_running(pid: i32) -> bool {
    process_status(pid).is_some_and(|(state, _)| state != 'Z' && state != 'X')
}

/// Returns how long processors have worked for a process. Others that load the machine do not make that longer.
pub fn cpu_time(pid: i32) -> Duration {
    const USER: usize = 11;
    // Linux counts in hundredths of a second there.
    let ticks = |fields: Vec<String>| {
        fields[USER..USER + 2].iter().map(|field| field.parse::<u64>().expect("a number")).sum::<u64>()
    };
    Duration::from_millis(10 * fields(pid).map(ticks).expect("it runs"))
}

pub(super) fn children_of(parent: u32) -> Vec<i32> {
    let processes = fs::read_dir("/proc").expect("/proc is mounted");
    processes
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|&pid| process_status(pid).is_some_and(|(_, of)| of == parent))
        .collect()
}

/// Returns state and parent of a process.
fn process_status(pid: i32) -> Option<(char, u32)> {
    let fields = fields(pid)?;
    Some((fields.first()?.chars().next()?, fields.get(1)?.parse().ok()?))
}

/// Returns the fields that follow the name of a process.
fn fields(pid: i32) -> Option<Vec<String>> {
    let line = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in the second field may contain blanks and parentheses.
    Some(line[line.rfind(')')? + 1..].split_ascii_whitespace().map(str::to_owned).collect())
}
