//! A thread that makes many requests at a time: it waits until something happens on one of its sockets, does what can be
//! done without waiting, and goes on.
//!
//! A subscription belongs to one loop. So its connections and its requests need no lock.
//!
//! | module | what it does |
//! |---|---|
//! | `inbox` | has what other threads pass to the loop, and wakes it |
//! | `ticket` | makes sure that each request results in one attempt |
//! | `peers` | has the requests of each subscription that wait, and its connections that rest |
//! | `starting` | starts a request, on a resting connection or a new one |
//! | `opening` | has the requests that have no connection yet |
//! | `connections` | does what the sockets need |
//! | `timers`, `slots` | have deadlines, and keys for sockets |

mod connections;
mod inbox;
mod opening;
mod peers;
mod slots;
mod starting;
mod ticket;
mod timers;

use std::cell::Cell;
use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use mio::{Events, Poll};
use wire::attempt::{Attempt, Outcome};
use wire::ids::SubscriptionId;
use wire::request::Request;

use crate::shared::Shared;
#[cfg(test)]
pub(crate) use connections::MAX_AGE;
pub(crate) use inbox::Inbox;
#[cfg(test)]
pub(crate) use peers::MAX_WAIT;
pub(crate) use ticket::Ticket;

use connections::Connection;
use inbox::{Contents, WOKEN};
use opening::{Opening, Preferences};
use peers::Peers;
use slots::Slots;
use ticket::Outbox;
use timers::{Subject, Timers};

/// What is read from a socket at a time.
const BUFFER_BYTES: usize = 64 * 1024;

/// How many reports of the poller are taken at a time.
const EVENTS: usize = 1024;

pub struct EventLoop {
    shared: Arc<Shared>,
    outbox: Rc<Outbox>,
    inbox: Arc<Inbox>,
    poll: Poll,
    peers: Peers,
    /// Subscriptions that may be able to start a request.
    ready: VecDeque<SubscriptionId>,
    openings: Slots<Opening>,
    connections: Slots<Connection>,
    preferences: Preferences,
    timers: Timers,
    /// The number of connections that rest, and its limit.
    resting: usize,
    max_resting: usize,
    /// The number of bytes of incomplete heads of answers.
    pending: Rc<Cell<usize>>,
    /// Memory for input, and for the head of a request.
    buffer: Vec<u8>,
    head: Vec<u8>,
    /// When the present turn began, and its number.
    now: Instant,
    turn: u64,
}

/// What a loop needs that must exist before its thread.
pub struct Parts {
    poll: Poll,
    pub inbox: Arc<Inbox>,
}

impl Parts {
    pub fn new() -> io::Result<Self> {
        let poll = Poll::new()?;
        let inbox = Arc::new(Inbox::new(poll.registry())?);
        Ok(Self { poll, inbox })
    }
}

impl EventLoop {
    pub fn new(parts: Parts, shared: Arc<Shared>, max_resting: usize) -> Self {
        Self {
            outbox: Rc::new(Outbox::new(shared.clone())),
            shared,
            inbox: parts.inbox,
            poll: parts.poll,
            peers: Peers::default(),
            ready: VecDeque::new(),
            openings: Slots::default(),
            connections: Slots::default(),
            preferences: Preferences::default(),
            timers: Timers::default(),
            resting: 0,
            max_resting,
            pending: Rc::default(),
            buffer: vec![0; BUFFER_BYTES],
            head: Vec::new(),
            now: Instant::now(),
            turn: 0,
        }
    }

    pub fn run(mut self) {
        let mut events = Events::with_capacity(EVENTS);
        let mut contents = Contents::default();
        while self.turn(&mut events, &mut contents) {}
    }

    /// Waits until something happens, and does what it requires. Returns whether there is to be another turn.
    fn turn(&mut self, events: &mut Events, contents: &mut Contents) -> bool {
        let next = self.timers.next().map(|at| at.saturating_duration_since(Instant::now()));
        match self.poll.poll(events, next) {
            Err(error) if error.kind() != ErrorKind::Interrupted => panic!("the poller failed: {error}"),
            _ => {}
        }
        self.now = Instant::now();
        self.turn += 1;
        self.inbox.take(contents);
        if self.shared.is_abandoned() {
            return false;
        }
        for event in events.iter().filter(|event| event.token() != WOKEN) {
            let ends = event.is_read_closed() || event.is_error();
            let key = event.token().into();
            self.guarded(Some(Subject::Connection(key)), |this| this.look_at(key, ends));
        }
        for (key, result) in contents.addresses.drain(..) {
            self.guarded(Some(Subject::Opening(key)), |this| this.take_addresses(key, result));
        }
        contents.requests.drain(..).for_each(|request| self.queue(request));
        while let Some((at, subject)) = self.timers.take(self.now) {
            self.guarded(Some(subject), |this| this.look_at_deadline(subject, at));
        }
        if self.shared.is_closing() {
            self.close();
        }
        self.start_ready();
        self.outbox.ring();
        !self.shared.is_closing() || self.connections.len() + self.openings.len() > 0
    }

    fn queue(&mut self, request: Request) {
        let id = request.endpoint.subscription;
        self.peers.get_or_insert(id).waiting.push_back((request, self.now));
        self.make_ready(id);
    }

    /// Notes that a subscription may be able to start a request.
    fn make_ready(&mut self, id: SubscriptionId) {
        if let Some(peer) = self.peers.get_mut(id)
            && !std::mem::replace(&mut peer.is_ready, true)
        {
            self.ready.push_back(id);
        }
    }

    fn start_ready(&mut self) {
        while let Some(id) = self.ready.pop_front() {
            let Some(peer) = self.peers.get_mut(id) else { continue };
            peer.is_ready = false;
            while let Some(request) = self.peers.get_mut(id).and_then(|peer| peer.next()) {
                self.guarded(None, |this| this.start(request));
            }
            if let Some(peer) = self.peers.get_mut(id)
                && let Some(at) = peer.give_back_at()
            {
                self.timers.set(&mut peer.timer, at, Subject::Peer(id));
            }
            self.peers.forget_if_idle(id);
        }
    }

    fn look_at_deadline(&mut self, subject: Subject, at: Instant) {
        match subject {
            Subject::Connection(key) => self.look_at_limit(key, at),
            Subject::Opening(key) => self.look_at_opening(key, at),
            Subject::Peer(id) => {
                let Some(peer) = self.peers.get_mut(id) else { return };
                if !peer.timer.goes_off(at) {
                    return;
                }
                match peer.give_back_at() {
                    // All of them, because they may have been promised an order.
                    Some(at) if at <= self.now => self.give_back_waiting(id),
                    Some(at) => self.timers.set(&mut peer.timer, at, Subject::Peer(id)),
                    None => {}
                }
            }
        }
    }

    /// Reports that the requests of a subscription that wait are not made.
    fn give_back_waiting(&mut self, id: SubscriptionId) {
        if let Some(peer) = self.peers.get_mut(id) {
            std::mem::take(&mut peer.waiting).iter().for_each(|(request, _)| give_back(request, &self.outbox));
            self.peers.forget_if_idle(id);
        }
    }

    /// Prevents the start of requests. Those that were started go on.
    fn close(&mut self) {
        for id in self.peers.ids() {
            let resting = self.peers.get_mut(id).map(|peer| std::mem::take(&mut peer.resting)).unwrap_or_default();
            self.resting -= resting.len();
            resting.into_iter().for_each(|key| drop(self.connections.remove(key)));
            self.give_back_waiting(id);
        }
    }

    /// Does something so that a panic costs only one request.
    fn guarded(&mut self, subject: Option<Subject>, work: impl FnOnce(&mut Self)) {
        if catch_unwind(AssertUnwindSafe(|| work(self))).is_ok() {
            return;
        }
        // The panic may have left it in any state. If it has an exchange, dropping that reports the failure.
        match subject {
            Some(Subject::Connection(key)) => drop(self.connections.remove(key)),
            Some(Subject::Opening(key)) => drop(self.openings.remove(key)),
            Some(Subject::Peer(_)) | None => {}
        }
        self.peers.ids().into_iter().for_each(|id| self.make_ready(id));
    }
}

/// Reports that a request is not made.
fn give_back(request: &Request, outbox: &Outbox) {
    outbox.report(Attempt {
        delivery: request.delivery,
        subscription: request.endpoint.subscription,
        outcome: Outcome::NotStarted,
        at: SystemTime::now(),
        took: Duration::ZERO,
    });
}
