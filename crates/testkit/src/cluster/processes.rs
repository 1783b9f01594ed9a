//! Processes of a server, from `/proc`.

use std::fs;
use std::process::{Command, Stdio};

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

pub(super) fn children_of(parent: u32) -> Vec<i32> {
    let processes = fs::read_dir("/proc").expect("/proc is mounted");
    processes
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|&pid| process_status(pid).is_some_and(|(_, of)| of == parent))
        .collect()
}

/// Returns state and parent of a process.
fn process_status(pid: i32) -> Option<(char, u32)> {
    let line = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in the second field may contain blanks and parentheses.
    let mut fields = line[line.rfind(')')? + 1..].split_ascii_whitespace();
    Some((fields.next()?.chars().next()?, fields.next()?.parse().ok()?))
}
