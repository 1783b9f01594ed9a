//! A name server for one cluster: it says that names are 127.0.0.1, or nothing.

use std::net::UdpSocket;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::cluster::Surroundings;

/// An address of loopback that is probably not in use.
const ADDRESS: &str = "127.77.53.53:53";

/// A lookup that gets no answer takes twenty seconds.
const SCRIPT: &str = "printf 'nameserver 127.77.53.53\noptions timeout:20 attempts:1\n' > names
                      mount --bind names /etc/resolv.conf
                      exec \"$@\"";

/// Names whose first label begins with this are never answered.
pub const HANGING: &str = "hang";

/// There is one server at a time.
static ONE: Mutex<()> = Mutex::new(());

pub struct NameServer {
    silent: Arc<AtomicBool>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    _one: MutexGuard<'static, ()>,
}

impl NameServer {
    /// Starts it, as soon as there is no other one. An error says why that is not possible here: it needs root, and not
    /// every container permits it.
    pub fn start() -> Result<Self, &'static str> {
        let may_mount =
            || Command::new("unshare").args(["--mount", "true"]).status().is_ok_and(|status| status.success());
        if !may_mount() {
            return Err("only root may mount, and not in every container");
        }
        let one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
        let socket = UdpSocket::bind(ADDRESS).map_err(|_| "this user may not listen on the port of name servers")?;
        socket.set_read_timeout(Some(Duration::from_millis(100))).expect("a time limit");
        let (silent, stop) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let (is_silent, stops) = (silent.clone(), stop.clone());
        let thread = thread::spawn(move || {
            while !stops.load(Ordering::Relaxed) {
                answer_one(&socket, &is_silent);
            }
        });
        Ok(Self { silent, stop, thread: Some(thread), _one: one })
    }

    /// The surroundings of a cluster that asks this server.
    pub fn surroundings(&self) -> Surroundings {
        Surroundings { script: SCRIPT, mounts: true }
    }

    /// Whether no name is answered.
    pub fn set_silent(&self, silent: bool) {
        self.silent.store(silent, Ordering::Relaxed);
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn answer_one(socket: &UdpSocket, silent: &AtomicBool) {
    let mut question = [0; 512];
    let Ok((length, from)) = socket.recv_from(&mut question) else { return };
    // Header, name, type and class. What follows is not needed for an answer.
    let name = question[12..length].iter().position(|&byte| byte == 0).expect("a name ends");
    let end = 12 + name + 5;
    // Each label has its length before it.
    if silent.load(Ordering::Relaxed) || question[13..].starts_with(HANGING.as_bytes()) {
        return;
    }
    let for_address = question[end - 4..end - 2] == [0, 1];
    let mut answer = question[..end].to_vec();
    answer[2..12].copy_from_slice(&[0x81, 0x80, 0, 1, 0, u8::from(for_address), 0, 0, 0, 0]);
    if for_address {
        // A pointer to the name; address, internet, one second, four bytes.
        answer.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4, 127, 0, 0, 1]);
    }
    let _ = socket.send_to(&answer, from);
}
