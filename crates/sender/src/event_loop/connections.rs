//! The connections of a loop, and what is done when something has happened on one of them.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::Poll;
use wire::ids::SubscriptionId;

use super::EventLoop;
use super::opening::{Opening, Phase};
use super::slots::Key;
use super::timers::{Subject, Timer};
use crate::exchange::{Exchange, Host, Step, Target, Trouble};
use crate::rules::Rules;
use crate::transport::Socket;

/// A connection that rested for longer is not used again. Common receivers (Node among them) close theirs after five
/// seconds. A request that is sent at that moment is lost, and there is no way to know whether it arrived.
const MAX_REST: Duration = Duration::from_millis(4500);

/// A connection is not used again when it is older, so that a changed address of its host is followed.
pub const MAX_AGE: Duration = Duration::from_secs(if cfg!(test) { 5 } else { 60 });

pub struct Connection {
    socket: Socket,
    subscription: SubscriptionId,
    /// The target for which it was opened. The URL of a subscription can change.
    target: Rc<Target>,
    /// The rules under which it was opened. It is used only for requests under the same rules.
    rules: Arc<Rules>,
    opened: Instant,
    usage: Usage,
    timer: Timer,
}

pub enum Usage {
    /// It is being opened to this address.
    Opening {
        opening: Key,
        address: SocketAddr,
    },
    Busy {
        exchange: Box<Exchange>,
        is_reused: bool,
    },
    Resting {
        until: Instant,
        turn: u64,
    },
}

impl Connection {
    /// Makes a connection for a request.
    pub fn new(socket: Socket, exchange: &Exchange, usage: Usage, opened: Instant) -> Self {
        let subscription = exchange.request.endpoint.subscription;
        let (target, rules) = (exchange.target.clone(), exchange.rules.clone());
        Self { socket, subscription, target, rules, opened, usage, timer: Timer::default() }
    }

    pub fn register(&mut self, poll: &Poll, key: Key) -> io::Result<()> {
        self.socket.register(poll.registry(), key.into())
    }

    /// Whether a resting connection can be used for a request. If anything has arrived that no request asked for, it
    /// cannot. In the turn in which it was used last, that was just seen.
    pub fn is_usable(&self, exchange: &Exchange, now: Instant, this_turn: u64) -> bool {
        let Usage::Resting { until, turn } = self.usage else { return false };
        Arc::ptr_eq(&exchange.rules, &self.rules)
            && exchange.target.has_origin_of(&self.target)
            && now < until
            && now < self.opened + MAX_AGE
            && (turn == this_turn || self.socket.has_nothing_to_read())
    }
}

impl EventLoop {
    /// Does what the poller's report on a connection requires. `ends`: the receiver may have closed its side.
    pub(super) fn look_at(&mut self, key: Key, ends: bool) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        match connection.usage {
            Usage::Opening { opening, address } => match connection.socket.is_connected() {
                Ok(true) => self.win(key, opening, address, ends),
                Ok(false) => {}
                Err(error) => self.lose(key, opening, error),
            },
            Usage::Busy { .. } => self.advance(key, ends),
            Usage::Resting { .. } if !connection.socket.has_nothing_to_read() => self.forget_resting(key),
            Usage::Resting { .. } => {}
        }
    }

    /// Uses a connection that has opened for the request that waits for it.
    fn win(&mut self, key: Key, opening: Key, address: SocketAddr, ends: bool) {
        let Some(Opening { exchange, phase, .. }) = self.openings.remove(opening) else {
            self.connections.remove(key);
            return;
        };
        if let Phase::Race(race) = phase {
            if let Host::Name(name) = &exchange.target.host
                && race.is_choice
            {
                self.preferences.keep(name, address.ip());
            }
            let others = race.pending.into_iter().filter(|other| *other != key);
            others.for_each(|other| drop(self.connections.remove(other)));
        }
        let Some(connection) = self.connections.get_mut(key) else { return };
        if let Some(name) = exchange.target.server_name.clone()
            && let Err(trouble) = connection.socket.start_tls(connection.rules.roots.config(), name)
        {
            self.connections.remove(key);
            return self.fail(exchange, &trouble);
        }
        self.begin(key, exchange, false, ends);
    }

    fn lose(&mut self, key: Key, opening: Key, error: io::Error) {
        self.connections.remove(key);
        let now = self.now;
        if let Some(Opening { phase: Phase::Race(race), .. }) = self.openings.get_mut(opening) {
            race.pending.retain(|pending| *pending != key);
            race.note_failure(error.into(), now);
            self.race(opening);
        }
    }

    /// Makes a request on a connection that is open. `ends`: the receiver may have closed its side already; the poller has
    /// reported that, and does not report it again.
    pub(super) fn begin(&mut self, key: Key, mut exchange: Box<Exchange>, is_reused: bool, ends: bool) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        self.timers.set(&mut connection.timer, exchange.until, Subject::Connection(key));
        if is_reused {
            exchange.begin(&mut connection.socket, &mut self.head, true);
        }
        let is_cut_off = exchange.is_cut_off();
        connection.usage = Usage::Busy { exchange, is_reused };
        if !is_reused || is_cut_off {
            self.advance(key, ends || is_cut_off);
        }
    }

    /// Continues with the request of a connection.
    fn advance(&mut self, key: Key, ends: bool) {
        let Some(Connection { socket, usage: Usage::Busy { exchange, is_reused }, .. }) = self.connections.get_mut(key)
        else {
            return;
        };
        if !exchange.is_begun() {
            match socket.shake_hands(&mut self.buffer) {
                Ok(true) if exchange.request.endpoint.gate.is_closed() => return self.give_up(key),
                Ok(true) => exchange.begin(socket, &mut self.head, *is_reused),
                Ok(false) => return,
                Err(trouble) => return self.end(key, trouble),
            }
        }
        match exchange.advance(socket, &mut self.buffer, ends) {
            Step::Wait => {}
            Step::Finish { is_reusable } => self.finish(key, is_reusable && !ends),
            Step::Fail(trouble) => self.end(key, trouble),
        }
    }

    /// Ends a request that has its answer.
    fn finish(&mut self, key: Key, is_reusable: bool) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        let id = connection.subscription;
        let until = self.now + MAX_REST;
        let usage = std::mem::replace(&mut connection.usage, Usage::Resting { until, turn: self.turn });
        if is_reusable && self.resting < self.max_resting {
            self.timers.set(&mut connection.timer, until, Subject::Connection(key));
            self.peers.get_or_insert(id).resting.push(key);
            self.resting += 1;
        } else {
            self.connections.remove(key);
        }
        self.make_ready(id);
        if let Usage::Busy { exchange, .. } = usage {
            exchange.finish();
        }
    }

    /// Ends the connection of a request that has no answer. The request is sent again, or fails.
    fn end(&mut self, key: Key, trouble: Trouble) {
        let Some(Connection { usage: Usage::Busy { mut exchange, .. }, .. }) = self.connections.remove(key) else {
            return;
        };
        if exchange.may_be_repeated(&trouble) {
            exchange.rewind();
            return self.open(exchange);
        }
        self.fail(exchange, &trouble);
    }

    /// Does not make a request although its connection is open, because nothing may be sent any more.
    fn give_up(&mut self, key: Key) {
        if let Some(Connection { usage: Usage::Busy { exchange, .. }, subscription, .. }) = self.connections.remove(key)
        {
            exchange.give_back();
            self.make_ready(subscription);
        }
    }

    /// Ends a request whose time limit has ended, or closes a connection that has rested for long.
    pub(super) fn look_at_limit(&mut self, key: Key, at: Instant) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        if !connection.timer.goes_off(at) {
            return;
        }
        let limit = match &connection.usage {
            Usage::Opening { .. } => return,
            Usage::Busy { exchange, .. } => exchange.until,
            Usage::Resting { until, .. } => *until,
        };
        if self.now < limit {
            self.timers.set(&mut connection.timer, limit, Subject::Connection(key));
        } else if matches!(connection.usage, Usage::Resting { .. }) {
            self.forget_resting(key);
        } else {
            self.end(key, Trouble::TimedOut);
        }
    }

    fn forget_resting(&mut self, key: Key) {
        let Some(connection) = self.connections.remove(key) else { return };
        let id = connection.subscription;
        if let Some(peer) = self.peers.get_mut(id) {
            let before = peer.resting.len();
            peer.resting.retain(|resting| *resting != key);
            self.resting -= before - peer.resting.len();
            self.peers.forget_if_idle(id);
        }
    }
}
