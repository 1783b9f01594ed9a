//! Waits until sockets can be read or written.
#![allow(unsafe_code)]

use std::io::{self, ErrorKind};
use std::os::fd::AsRawFd;
use std::time::Duration;

/// Waits until this socket can be read, or written, or has failed. Returns whether it can be read.
pub fn wait_for_either(socket: &impl AsRawFd, limit: Duration) -> io::Result<bool> {
    let mut entry = [entry(socket, libc::POLLIN | libc::POLLOUT)];
    wait(&mut entry, limit)?;
    Ok(entry[0].revents & libc::POLLIN != 0)
}

/// Waits until one of these sockets is connected or has failed. Returns the places of those.
pub fn wait_for_connection<'a, S: AsRawFd + 'a>(
    sockets: impl Iterator<Item = &'a S>,
    limit: Duration,
) -> io::Result<Vec<usize>> {
    let mut entries: Vec<_> = sockets.map(|socket| entry(socket, libc::POLLOUT)).collect();
    wait(&mut entries, limit)?;
    Ok(entries.iter().enumerate().filter(|(_, entry)| entry.revents != 0).map(|(place, _)| place).collect())
}

fn entry(socket: &impl AsRawFd, events: libc::c_short) -> libc::pollfd {
    libc::pollfd { fd: socket.as_raw_fd(), events, revents: 0 }
}

/// Waits for at most `limit`, rounded up to milliseconds. An interrupted wait ends early.
fn wait(entries: &mut [libc::pollfd], limit: Duration) -> io::Result<()> {
    let millis = i32::try_from(limit.as_micros().div_ceil(1000)).unwrap_or(i32::MAX);
    // SAFETY: the kernel reads and writes as many entries as the length says, and they outlive the call.
    let ready = unsafe { libc::poll(entries.as_mut_ptr(), entries.len() as libc::nfds_t, millis) };
    let error = io::Error::last_os_error();
    if ready < 0 && error.kind() != ErrorKind::Interrupted { Err(error) } else { Ok(()) }
}
