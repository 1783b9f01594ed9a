//! Ports of loopback for programs that are told where to listen.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// Below those that the system gives to connections and to listeners on port 0. So nobody takes one of them before the
/// program listens, or while it is started again.
const FIRST: u32 = 20_000;
const COUNT: u32 = 10_000;

/// Returns a port that is free, and that no other test of this process gets.
pub fn free_port() -> u16 {
    static NEXT: LazyLock<AtomicU32> = LazyLock::new(|| AtomicU32::new(rand::random_range(0..COUNT)));
    let mut ports = (0..COUNT).map(|_| (FIRST + NEXT.fetch_add(1, Ordering::Relaxed) % COUNT) as u16);
    ports.find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok()).expect("one of thousands is free")
}
