//! What the gateway does not inherit from the server: descriptors, environment, signals, session, and its importance
//! when memory runs out.

use std::ffi::CStr;
use std::fs;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

/// Added to the probability that the system kills the process when memory runs out: rather than one of Postgres, whose
/// end restarts the server.
const OOM_SCORE: &[u8] = b"500";

/// Address space of the gateway, in bytes, and more of it for each processor: a thread reserves some hundred megabytes
/// for what it allocates, and uses a small part of them. This only stops growth without end.
const ADDRESS_SPACE: u64 = 4 << 30;
const ADDRESS_SPACE_OF_PROCESSOR: u64 = 256 << 20;

/// Returns a command for the program, without environment, with pipes for input and output. Its errors go where those
/// of the server go.
pub fn command(program: &Path) -> io::Result<Command> {
    close_descriptors_on_exec()?;
    let processors = std::thread::available_parallelism().map_or(1, |number| number.get() as u64);
    let address_space = ADDRESS_SPACE + processors * ADDRESS_SPACE_OF_PROCESSOR;
    let supervisor = std::process::id();
    let mut command = Command::new(program);
    command.env_clear().current_dir("/").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
    // SAFETY: between fork and exec, the closure makes system calls only.
    unsafe { command.pre_exec(move || isolate(supervisor, address_space)) };
    Ok(command)
}

/// Marks all descriptors of this process, except the standard ones, so that no program that it starts has them.
/// Postgres never starts a program that needs one.
fn close_descriptors_on_exec() -> io::Result<()> {
    let names = fs::read_dir("/proc/self/fd")?.map(|entry| entry.map(|entry| entry.file_name()));
    for name in names.collect::<io::Result<Vec<_>>>()? {
        let Some(fd) = name.to_str().and_then(|name| name.parse::<i32>().ok()) else { continue };
        if fd > 2 {
            // SAFETY: sets a flag of a descriptor. That of the directory is closed already, which does no harm.
            unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) };
        }
    }
    Ok(())
}

/// Runs in the new process, before the program.
fn isolate(supervisor: u32, address_space: u64) -> io::Result<()> {
    // SAFETY: system calls on numbers and constant texts, each of them allowed between fork and exec.
    unsafe {
        // Signals that Postgres ignores would be ignored by the program too. Those that cannot be changed are skipped.
        for signal in 1..=libc::SIGRTMAX() {
            libc::signal(signal, libc::SIG_DFL);
        }
        // Postgres blocks one to wait for it in another way.
        let mut none = std::mem::MaybeUninit::uninit();
        libc::sigemptyset(none.as_mut_ptr());
        check(libc::sigprocmask(libc::SIG_SETMASK, none.as_ptr(), std::ptr::null_mut()))?;
        // Signals to the process group of the supervisor are not for the gateway.
        check(libc::setsid())?;
        check(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))?;
        let limit = libc::rlimit { rlim_cur: address_space, rlim_max: address_space };
        check(libc::setrlimit(libc::RLIMIT_AS, &raw const limit))?;
        // It may be forbidden. The gateway runs all the same.
        let _ = write(c"/proc/self/oom_score_adj", OOM_SCORE);
        // If the supervisor ends in whatever way, the gateway is killed. If it has ended before this call, nobody would
        // kill the gateway.
        check(libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL))?;
        if libc::getppid() != supervisor as libc::pid_t {
            return Err(io::Error::from_raw_os_error(libc::ESRCH));
        }
    }
    Ok(())
}

/// # Safety
/// None of its own: it makes system calls only.
unsafe fn write(path: &CStr, text: &[u8]) -> io::Result<()> {
    // SAFETY: a C string, and as many bytes as stated. The descriptor is closed by exec.
    unsafe {
        let fd = libc::open(path.as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC);
        check(fd)?;
        check(libc::write(fd, text.as_ptr().cast(), text.len()) as i32)
    }
}

fn check(result: i32) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
