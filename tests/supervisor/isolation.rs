//! What the process of the gateway has of the server.

use std::collections::BTreeSet;
use std::fs;

use testkit::{PATIENCE, wait_until};

use crate::{start, supervisor, wait_for_gateway};

/// The open files, sockets and pipes of a process, except its standard ones.
fn descriptors(pid: i32) -> BTreeSet<String> {
    let directory = format!("/proc/{pid}/fd");
    let entries = fs::read_dir(&directory).unwrap_or_else(|error| panic!("{directory}: {error}"));
    let entries = entries.map(|entry| entry.expect("the process lives").path());
    let opened = entries.filter(|path| !["0", "1", "2"].iter().any(|standard| path.ends_with(standard)));
    opened.filter_map(|path| Some(fs::read_link(path).ok()?.to_string_lossy().into_owned())).collect()
}

fn read(pid: i32, file: &str) -> String {
    fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_else(|error| panic!("{file} of {pid}: {error}"))
}

fn status_line(pid: i32, name: &str) -> String {
    let status = read(pid, "status");
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.unwrap_or_else(|| panic!("no {name} in {status}")).trim().to_owned()
}

#[test]
fn the_gateway_inherits_no_descriptor_no_environment_and_no_signal_of_the_server() {
    let (cluster, mut client) = start(&[]);
    let gateway = wait_for_gateway(&mut client);
    let supervisor = supervisor(&mut client).expect("it runs");
    // Of names such as anon_inode:[eventpoll], every process has its own.
    let unique = |name: &&String| !name.starts_with("anon_inode:") && !name.starts_with("/dev/");
    let of_server = descriptors(supervisor);
    assert!(of_server.iter().any(|name| unique(&name)), "{of_server:?}");
    let of_gateway = descriptors(gateway);
    let inherited: Vec<&String> = of_gateway.intersection(&of_server).filter(unique).collect();
    assert!(inherited.is_empty(), "{inherited:?}");
    let data = cluster.data().to_string_lossy().into_owned();
    assert!(!of_gateway.iter().any(|name| name.starts_with(&data)), "{of_gateway:?}");

    assert_eq!(read(gateway, "environ"), "");
    assert!(read(gateway, "cmdline").ends_with("/hydra-gateway\0--supervised\0"), "{}", read(gateway, "cmdline"));
    assert_eq!(fs::read_link(format!("/proc/{gateway}/cwd")).expect("it lives").to_str(), Some("/"));
    assert_eq!(read(gateway, "oom_score_adj").trim(), "500");
    assert_eq!(status_line(gateway, "SigBlk"), "0000000000000000");
    assert_eq!(status_line(gateway, "NoNewPrivs"), "1");
    assert_eq!(status_line(gateway, "PPid"), supervisor.to_string());
    let limits = read(gateway, "limits");
    let space = limits.lines().find(|line| line.starts_with("Max address space")).expect("a known line");
    assert!(!space.contains("unlimited"), "{space}");
    // It leads a session of its own: the sixth field, after the name in parentheses.
    let stat = read(gateway, "stat");
    let session = stat[stat.rfind(')').expect("a name") + 1..].split_whitespace().nth(3).map(str::to_owned);
    assert_eq!(session, Some(gateway.to_string()));
}

/// Postgres uses SIGHUP, SIGUSR1 and others for itself, and ignores some.
#[test]
fn a_signal_to_all_of_the_server_ends_no_gateway() {
    let (cluster, mut client) = start(&[]);
    let gateway = wait_for_gateway(&mut client);
    let supervisor = supervisor(&mut client).expect("it runs");
    let ignored = u64::from_str_radix(&status_line(supervisor, "SigIgn"), 16).expect("a mask");
    assert_ne!(ignored, 0, "the server ignores some signals");
    let ignored = u64::from_str_radix(&status_line(gateway, "SigIgn"), 16).expect("a mask");
    // A runtime ignores SIGPIPE by its own decision; signals 32 and 33 belong to the C library.
    assert_eq!(ignored & !(1 << 12 | 0b11 << 31), 0, "{ignored:x}");
    cluster.set(&[]);
    wait_until("the reload was noticed", PATIENCE, || wait_for_gateway(&mut client) == gateway);
}
