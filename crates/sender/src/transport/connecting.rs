//! Opens a TCP connection to one of the addresses of a host.
//!
//! A host often has an IPv6 address that does not work where the database runs. So the addresses are not tried one after
//! the other until each has run out of time: if one does not answer quickly, the next one is tried at the same time, and
//! the first that answers is used. It is tried first from then on.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, Socket, Type};
use ureq::Error;

use super::deadline::Limit;
use super::readiness::wait_for_connection;

/// An address that has not answered for this long, or for this share of the time limit, no longer keeps the next one
/// waiting. The duration is that of RFC 8305.
const HEAD_START: Duration = Duration::from_millis(250);
const HEAD_START_SHARE: u32 = 8;

/// The maximum number of hosts that are kept. Bounds their memory.
const MAX_HOSTS: usize = 1024;

/// The address that worked last, of each host with several addresses.
#[derive(Debug, Default)]
pub struct Preferences(Mutex<HashMap<String, IpAddr>>);

impl Preferences {
    /// Opens a connection to one of the addresses of this host.
    pub fn open(&self, host: &str, addresses: &[SocketAddr], limit: Limit) -> Result<TcpStream, Error> {
        if let [only] = addresses {
            return TcpStream::connect_timeout(only, limit.left()?).map_err(|error| match error.kind() {
                io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => limit.exceeded(),
                _ => error.into(),
            });
        }
        let (address, stream) = race(&self.in_order(host, addresses), limit)?;
        self.keep(host, address.ip());
        Ok(stream)
    }

    fn in_order(&self, host: &str, addresses: &[SocketAddr]) -> Vec<SocketAddr> {
        let preferred = self.lock().get(host).copied();
        let mut addresses = addresses.to_vec();
        // The others stay in their order.
        addresses.sort_by_key(|address| Some(address.ip()) != preferred);
        addresses
    }

    fn keep(&self, host: &str, address: IpAddr) {
        let mut hosts = self.lock();
        if hosts.get(host) == Some(&address) {
            return;
        }
        if hosts.len() >= MAX_HOSTS {
            hosts.clear();
        }
        hosts.insert(host.to_owned(), address);
    }

    /// Nothing panics while it holds the lock, so the map is consistent even if the lock is poisoned.
    fn lock(&self) -> MutexGuard<'_, HashMap<String, IpAddr>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Connects to the first address, and to further ones while none has answered. Returns the connection that opens first.
fn race(addresses: &[SocketAddr], limit: Limit) -> Result<(SocketAddr, TcpStream), Error> {
    let head_start = HEAD_START.min(limit.left()? / HEAD_START_SHARE);
    let mut failure = Error::HostNotFound;
    let mut untried = addresses.iter();
    let mut pending: Vec<(SocketAddr, Socket)> = Vec::new();
    let mut next_start = Instant::now();
    loop {
        let left = limit.left()?;
        let until_next = next_start.saturating_duration_since(Instant::now());
        if pending.is_empty() || until_next.is_zero() {
            if let Some(address) = untried.next() {
                match begin(*address) {
                    Ok(socket) => {
                        pending.push((*address, socket));
                        next_start = Instant::now() + head_start;
                    }
                    Err(error) => failure = error.into(),
                }
                continue;
            }
            if pending.is_empty() {
                return Err(failure);
            }
        }
        let pause = if untried.len() > 0 { until_next.min(left) } else { left };
        let sockets = pending.iter().map(|(_, socket)| socket);
        for place in wait_for_connection(sockets, pause)?.into_iter().rev() {
            let (address, socket) = pending.remove(place);
            match finish(socket) {
                Ok(stream) => return Ok((address, stream)),
                Err(error) => {
                    failure = error.into();
                    next_start = Instant::now();
                }
            }
        }
    }
}

/// Begins to connect, and does not wait.
fn begin(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    match socket.connect(&address.into()) {
        Err(error) if error.raw_os_error() != Some(libc::EINPROGRESS) => Err(error),
        _ => Ok(socket),
    }
}

/// Returns the connection, or the error with which it failed.
fn finish(socket: Socket) -> io::Result<TcpStream> {
    if let Some(error) = socket.take_error()? {
        return Err(error);
    }
    socket.set_nonblocking(false)?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use ureq::Timeout;
    use ureq::unversioned::transport::NextTimeout;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(2);

    fn limit() -> Limit {
        Limit::new(NextTimeout { after: LIMIT.into(), reason: Timeout::Global, ..NextTimeout::default() })
    }

    /// A socket whose queue of connections is full, so that it answers no further one.
    fn dead() -> (SocketAddr, Vec<Socket>) {
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        listener.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
        listener.listen(0).unwrap();
        let address = listener.local_addr().unwrap().as_socket().unwrap();
        let mut sockets = vec![listener];
        sockets.extend((0..3).map(|_| begin(address).unwrap()));
        // The first one takes the only place.
        wait_for_connection(sockets[1..2].iter(), LIMIT).unwrap();
        (address, sockets)
    }

    /// An address that refuses connections.
    fn closed() -> SocketAddr {
        TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
    }

    #[test]
    fn a_dead_first_address_costs_a_small_share_of_the_limit_and_only_once() {
        let (dead, _sockets) = dead();
        let listener = TcpListener::bind("127.0.0.2:0").unwrap();
        let addresses = [dead, listener.local_addr().unwrap()];
        let preferences = Preferences::default();
        let mut took = Vec::new();
        for _ in 0..3 {
            let started = Instant::now();
            let stream = preferences.open("two.example", &addresses, limit()).unwrap();
            assert_eq!(stream.peer_addr().unwrap(), addresses[1]);
            took.push(started.elapsed());
        }
        assert!(took[0] >= LIMIT / HEAD_START_SHARE && took[0] < LIMIT / 2, "{took:?}");
        assert!(took[1..].iter().all(|took| *took < LIMIT / HEAD_START_SHARE), "{took:?}");
    }

    #[test]
    fn an_address_that_refuses_costs_nothing_and_the_last_error_is_returned() {
        let listener = TcpListener::bind("127.0.0.2:0").unwrap();
        let (closed, started) = (closed(), Instant::now());
        let addresses = [closed, listener.local_addr().unwrap()];
        let stream = Preferences::default().open("two.example", &addresses, limit()).unwrap();
        assert_eq!(stream.peer_addr().unwrap(), addresses[1]);
        assert!(started.elapsed() < HEAD_START);
        let error = Preferences::default().open("two.example", &[closed, closed], limit()).unwrap_err();
        assert!(matches!(error, Error::Io(error) if error.kind() == io::ErrorKind::ConnectionRefused));
    }

    #[test]
    fn an_address_that_stops_working_is_left_for_another() {
        let [first, second] = ["127.0.0.1:0", "127.0.0.2:0"].map(|address| TcpListener::bind(address).unwrap());
        let addresses = [first.local_addr().unwrap(), second.local_addr().unwrap()];
        let preferences = Preferences::default();
        let peer = || preferences.open("two.example", &addresses, limit()).unwrap().peer_addr().unwrap();
        assert_eq!(peer(), addresses[0]);
        drop(first);
        assert_eq!(peer(), addresses[1]);
    }

    #[test]
    fn dead_addresses_run_into_the_time_limit() {
        let ((one, _first), (two, _second)) = (dead(), dead());
        let started = Instant::now();
        let error = Preferences::default().open("two.example", &[one, two], limit()).unwrap_err();
        assert!(matches!(error, Error::Timeout(_)), "{error:?}");
        assert!(started.elapsed() >= LIMIT && started.elapsed() < 2 * LIMIT);
    }
}
