//! The programs, the directory and the owner of a cluster, and the keeper that removes it.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::{env, fs, process};

use super::PORT;

/// The longest path of a Unix socket.
const SOCKET_PATH_LIMIT: usize = 107;

/// The user as whom the programs of the server run if the tests run as root.
#[derive(Clone, Copy)]
pub(super) struct Owner {
    pub user: u32,
    pub group: u32,
}

pub(super) fn programs() -> PathBuf {
    let programs = env::var_os("HYDRA_PG_BIN").map(PathBuf::from);
    programs.filter(|programs| programs.join("postgres").exists()).unwrap_or_else(|| {
        panic!("these tests need HYDRA_PG_BIN: run `make test`, which prepares a private Postgres with the extension")
    })
}

/// Returns the owner of the cluster. `None` if the tests do not run as root: then the server runs as the same user.
pub(super) fn owner() -> Option<Owner> {
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

pub(super) fn run_as(command: &mut Command, owner: Option<Owner>) {
    if let Some(Owner { user, group }) = owner {
        // Setting a user as root clears the supplementary groups as well.
        command.uid(user).gid(group);
    }
}

pub(super) fn new_directory(owner: Option<Owner>) -> PathBuf {
    static COUNTER: AtomicU32 = AtomicU32::new(0);
    let name = format!("hw.{}.{}", process::id(), COUNTER.fetch_add(1, Ordering::Relaxed));
    let mut directory = env::temp_dir().join(&name);
    if directory.as_os_str().len() + socket_file().len() > SOCKET_PATH_LIMIT {
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
pub(super) fn keeper(programs: &Path, directory: &Path, owner: Option<Owner>) -> Child {
    // It checks for itself whether the server has ended: for pg_ctl a server that its parent has not waited for still
    // runs.
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
    // In its own process group: Ctrl-C ends the tests, and the keeper has to outlive them.
    command.process_group(0);
    run_as(&mut command, owner);
    command.spawn().expect("/bin/sh starts")
}

/// The file name that Postgres appends to the directory of the socket.
fn socket_file() -> String {
    format!("/.s.PGSQL.{PORT}.lock")
}
