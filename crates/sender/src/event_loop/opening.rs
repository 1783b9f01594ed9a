//! A request without a connection: its host name is looked up, or a connection is being opened to one of its addresses.
//!
//! A host often has an IPv6 address that does not work where the database runs. So the addresses are not tried one after
//! the other until each has run out of time: if one does not answer quickly, the next one is tried at the same time, and
//! the first that answers is used. It is tried first from then on.

use std::collections::{HashMap, VecDeque};
use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use super::slots::Key;
use super::timers::Timer;
use crate::destination::{Addresses, Ticket};
use crate::exchange::{Exchange, Trouble};

/// An address that has not answered for this long, or for this share of the time limit, no longer keeps the next one
/// waiting. The duration is that of RFC 8305.
const HEAD_START: Duration = Duration::from_millis(250);
const HEAD_START_SHARE: u32 = 8;

/// The maximum number of hosts that are kept. Bounds their memory.
const MAX_HOSTS: usize = 1024;

pub struct Opening {
    pub exchange: Box<Exchange>,
    pub phase: Phase,
    pub timer: Timer,
}

pub enum Phase {
    Lookup {
        ticket: Option<Ticket>,
        /// From when on these addresses are used, if there is no answer.
        meanwhile: Option<(Instant, Addresses)>,
    },
    Race(Race),
}

/// The addresses of a host, and the connections that are being opened.
pub struct Race {
    pub untried: VecDeque<SocketAddr>,
    pub pending: Vec<Key>,
    /// When the next address is tried.
    pub next_start: Instant,
    head_start: Duration,
    /// Whether there were several addresses.
    pub is_choice: bool,
    /// The last error.
    pub failure: Trouble,
}

impl Opening {
    /// When something is to be done although nothing has happened.
    pub fn next_change(&self) -> Instant {
        let earlier = match &self.phase {
            Phase::Lookup { meanwhile, .. } => meanwhile.as_ref().map(|(from, _)| *from),
            Phase::Race(race) => (!race.untried.is_empty()).then_some(race.next_start),
        };
        earlier.map_or(self.exchange.until, |earlier| earlier.min(self.exchange.until))
    }
}

impl Race {
    pub fn new(addresses: Vec<SocketAddr>, now: Instant, until: Instant) -> Self {
        Self {
            is_choice: addresses.len() > 1,
            untried: addresses.into(),
            pending: Vec::new(),
            next_start: now,
            head_start: HEAD_START.min(until.saturating_duration_since(now) / HEAD_START_SHARE),
            failure: io::Error::from(ErrorKind::HostUnreachable).into(),
        }
    }

    /// Returns the address that is to be tried now.
    pub fn next(&mut self, now: Instant) -> Option<SocketAddr> {
        if !self.pending.is_empty() && now < self.next_start {
            return None;
        }
        let next = self.untried.pop_front()?;
        self.next_start = now + self.head_start;
        Some(next)
    }

    /// Notes that an address failed, so that the next one is tried at once.
    pub fn note_failure(&mut self, trouble: Trouble, now: Instant) {
        self.failure = trouble;
        self.next_start = now;
    }

    pub fn is_lost(&self) -> bool {
        self.pending.is_empty() && self.untried.is_empty()
    }
}

/// The address that worked last, of each host with several addresses.
#[derive(Debug, Default)]
pub struct Preferences(HashMap<String, IpAddr>);

impl Preferences {
    /// Puts the address that worked last in front. The others stay in their order.
    pub fn sort(&self, host: &str, addresses: &mut [SocketAddr]) {
        let preferred = self.0.get(host).copied();
        addresses.sort_by_key(|address| Some(address.ip()) != preferred);
    }

    pub fn keep(&mut self, host: &str, address: IpAddr) {
        if self.0.get(host) == Some(&address) {
            return;
        }
        if self.0.len() >= MAX_HOSTS {
            self.0.clear();
        }
        self.0.insert(host.to_owned(), address);
    }
}
