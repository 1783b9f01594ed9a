//! Addresses for programs that are told where to listen.

use std::net::TcpListener;

/// Nothing else in the tests uses this address of loopback. So nobody takes a port of it before the program listens
/// that the port is meant for.
const OURS: &str = "127.77.25.1:0";

/// Returns different addresses on which nothing listens.
pub fn free_addresses<const N: usize>() -> [String; N] {
    let listeners = [(); N].map(|()| TcpListener::bind(OURS).expect("loopback has a free port"));
    listeners.map(|listener| listener.local_addr().expect("it listens").to_string())
}
