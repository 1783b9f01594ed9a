//! The process of the gateway, and the pipes to it.
//!
//! The supervisor never waits for the gateway: both pipes are non-blocking. A gateway that does not read its settings, or
//! writes lines without end, is killed.

use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{ChildStdin, ChildStdout, ExitStatus};
use std::time::{Duration, Instant};

use wire::supervised::Report;

use super::isolation;

/// The longest line that a gateway may write.
const MAX_LINE: usize = 64 * 1024;

/// How long a wait for the end of the process lasts before the caller's condition is tested again.
const LOOK_EVERY: Duration = Duration::from_millis(20);

pub struct Child {
    process: std::process::Child,
    /// `None` once it was asked to end.
    input: Option<ChildStdin>,
    output: ChildStdout,
    /// The beginning of a line.
    unread: Vec<u8>,
}

impl Child {
    /// Starts the program with these settings.
    pub fn start(program: &Path, settings: &str) -> io::Result<Self> {
        let mut process = isolation::command(program)?.arg("--supervised").spawn()?;
        let (input, output) = (process.stdin.take(), process.stdout.take());
        let (input, output) = (input.expect("it is a pipe"), output.expect("it is a pipe"));
        set_nonblocking(input.as_raw_fd())?;
        set_nonblocking(output.as_raw_fd())?;
        let mut child = Self { process, input: Some(input), output, unread: Vec::new() };
        child.tell(settings);
        Ok(child)
    }

    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// A descriptor that is readable when the gateway has reported something or has ended.
    pub fn fd(&self) -> RawFd {
        self.output.as_raw_fd()
    }

    /// Sends the settings. If the gateway does not take them, kills it.
    pub fn tell(&mut self, settings: &str) {
        // The pipe has room for many lines, so the whole line is written, or the gateway does not read.
        let written = self.input.as_mut().map(|input| input.write(settings.as_bytes()));
        if !matches!(written, Some(Ok(length)) if length == settings.len()) {
            self.kill();
        }
    }

    /// Returns what the gateway has reported since the last call.
    pub fn reports(&mut self) -> Vec<Report> {
        let mut piece = [0; 4096];
        loop {
            match self.output.read(&mut piece) {
                // It has closed its output, so it has ended or will never report anything.
                Ok(0) => {
                    self.kill();
                    break;
                }
                Ok(length) => self.unread.extend_from_slice(&piece[..length]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => break,
            }
            if self.unread.len() > MAX_LINE {
                self.kill();
                break;
            }
        }
        self.take_lines()
    }

    fn take_lines(&mut self) -> Vec<Report> {
        let end = self.unread.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
        let lines: Vec<u8> = self.unread.drain(..end).collect();
        String::from_utf8_lossy(&lines).lines().filter_map(Report::parse).collect()
    }

    /// Returns how the process ended; `None` if it runs.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.process.try_wait().unwrap_or_else(|_| Some(ExitStatus::from_raw(0)))
    }

    /// Asks the gateway to finish its requests, and waits for its end while `may_wait` says so. Then kills it.
    pub fn end(mut self, mut may_wait: impl FnMut(Duration) -> bool) {
        self.input = None;
        let start = Instant::now();
        while self.ended().is_none() && may_wait(start.elapsed()) {
            // Its reports are of no interest any more, but a full pipe would keep it from ending.
            wait_for_output(self.fd());
            if let Ok(0) = self.output.read(&mut [0; 4096]) {
                std::thread::sleep(LOOK_EVERY);
            }
        }
        self.kill();
        // Returns at once, unless the kernel is busy with the process.
        let _ = self.process.wait();
    }

    fn kill(&mut self) {
        let _ = self.process.kill();
    }
}

/// Waits until something can be read, or for [`LOOK_EVERY`].
fn wait_for_output(fd: RawFd) {
    let mut entry = libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
    // SAFETY: `entry` is one pollfd, as the count says, and outlives the call.
    unsafe { libc::poll(&raw mut entry, 1, LOOK_EVERY.as_millis() as i32) };
}

fn set_nonblocking(fd: RawFd) -> io::Result<()> {
    // SAFETY: sets a flag of a descriptor of this process.
    match unsafe { libc::fcntl(fd, libc::F_SETFL, libc::O_NONBLOCK) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}
