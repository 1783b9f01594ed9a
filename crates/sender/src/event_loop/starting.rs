//! Starts a request: on a connection that rests, or on a new one to an address of its host.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use wire::attempt::Outcome;
use wire::request::Request;

use super::connections::{Connection, Usage};
use super::opening::{Opening, Phase, Race};
use super::slots::Key;
use super::ticket::Ticket;
use super::timers::{Subject, Timer};
use super::{EventLoop, give_back};
use crate::destination::{Asked, LookupError, LookupResult, NoAddress, vet};
use crate::exchange::{Exchange, Host, Trouble};
use crate::transport::Socket;

impl EventLoop {
    pub(super) fn start(&mut self, request: Request) {
        if request.endpoint.gate.is_closed() {
            return give_back(&request, &self.outbox);
        }
        let id = request.endpoint.subscription;
        let peer = self.peers.get_or_insert(id);
        let ticket = Ticket::new(&request, self.outbox.clone(), peer.in_flight.clone());
        fault::point("request");
        let rules = self.shared.rules();
        let target = match peer.target(&request.endpoint, &rules) {
            Ok(target) => target,
            Err(failure) => return ticket.conclude(Outcome::Failed(failure)),
        };
        let exchange = Box::new(Exchange::new(request, target, rules, ticket, self.pending.clone()));
        while let Some(key) = self.peers.get_or_insert(id).resting.pop() {
            self.resting -= 1;
            let (now, turn) = (self.now, self.turn);
            let connection = self.connections.get_mut(key);
            if connection.is_some_and(|connection| connection.is_usable(&exchange, now, turn)) {
                return self.begin(key, exchange, true, false);
            }
            self.connections.remove(key);
        }
        self.open(exchange);
    }

    /// Finds the addresses of the host, and opens a connection to one of them.
    pub(super) fn open(&mut self, exchange: Box<Exchange>) {
        let target = exchange.target.clone();
        let name = match &target.host {
            Host::Address(address) => return self.connect(exchange, &[*address]),
            Host::Name(name) => name,
        };
        let phase = Phase::Lookup { ticket: None, meanwhile: None };
        let key = self.openings.insert(Opening { exchange, phase, timer: Timer::default() });
        let inbox = Arc::clone(&self.inbox);
        match self.shared.directory.ask(name, self.now, move |result| inbox.answer(key, result)) {
            Asked::Known(result) => self.take_addresses(key, result),
            Asked::Awaited { ticket, meanwhile } => {
                let Some(opening) = self.openings.get_mut(key) else { return };
                opening.phase = Phase::Lookup { ticket: Some(ticket), meanwhile };
                let next = opening.next_change();
                self.timers.set(&mut opening.timer, next, Subject::Opening(key));
            }
        }
    }

    /// Takes the result of a lookup.
    pub(super) fn take_addresses(&mut self, key: Key, result: LookupResult) {
        // Older addresses may be in use already.
        if !self.openings.get_mut(key).is_some_and(|opening| matches!(opening.phase, Phase::Lookup { .. })) {
            return;
        }
        let Some(Opening { exchange, .. }) = self.openings.remove(key) else { return };
        match result {
            Ok(addresses) => self.connect(exchange, &addresses),
            Err(error) => self.fail(exchange, &Trouble::NoAddress(NoAddress::Lookup(error))),
        }
    }

    fn connect(&mut self, exchange: Box<Exchange>, addresses: &[IpAddr]) {
        let mut vetted = match vet(addresses, exchange.target.port, &exchange.rules.policy) {
            Ok(vetted) => vetted,
            Err(reason) => return self.fail(exchange, &Trouble::NoAddress(reason)),
        };
        if let Host::Name(name) = &exchange.target.host {
            self.preferences.sort(name, &mut vetted);
        }
        let race = Race::new(vetted, self.now, exchange.until);
        let opening = Opening { exchange, phase: Phase::Race(race), timer: Timer::default() };
        let key = self.openings.insert(opening);
        self.race(key);
    }

    /// Tries the next addresses, as many as are to be tried now.
    pub(super) fn race(&mut self, key: Key) {
        loop {
            let now = self.now;
            let Some(opening) = self.openings.get_mut(key) else { return };
            let Phase::Race(race) = &mut opening.phase else { return };
            if let Some(address) = race.next(now) {
                let connection = self.begin_connection(key, address);
                let Some(Opening { phase: Phase::Race(race), .. }) = self.openings.get_mut(key) else { return };
                match connection {
                    Ok(connection) => race.pending.push(connection),
                    Err(error) => race.note_failure(error.into(), now),
                }
            } else if race.is_lost() {
                let failure = std::mem::replace(&mut race.failure, Trouble::TimedOut);
                if let Some(Opening { exchange, .. }) = self.openings.remove(key) {
                    self.fail(exchange, &failure);
                }
                return;
            } else {
                let next = opening.next_change();
                return self.timers.set(&mut opening.timer, next, Subject::Opening(key));
            }
        }
    }

    fn begin_connection(&mut self, opening: Key, address: SocketAddr) -> io::Result<Key> {
        let Some(Opening { exchange, .. }) = self.openings.get_mut(opening) else {
            return Err(io::ErrorKind::ConnectionAborted.into());
        };
        let socket = Socket::connect(address)?;
        let usage = Usage::Opening { opening, address };
        let connection = Connection::new(socket, exchange, usage, self.now);
        let key = self.connections.insert(connection);
        let registered = self.connections.get_mut(key).map(|connection| connection.register(&self.poll, key));
        if let Some(Err(error)) = registered {
            self.connections.remove(key);
            return Err(error);
        }
        Ok(key)
    }

    /// Sees what is to be done for a request that has no connection yet.
    pub(super) fn look_at_opening(&mut self, key: Key, at: Instant) {
        let Some(opening) = self.openings.get_mut(key) else { return };
        if !opening.timer.goes_off(at) {
            return;
        }
        if self.now >= opening.exchange.until {
            let Some(Opening { exchange, phase, .. }) = self.openings.remove(key) else { return };
            let trouble = match phase {
                Phase::Lookup { ticket, .. } => {
                    ticket.into_iter().for_each(|ticket| self.shared.directory.withdraw(ticket));
                    Trouble::NoAddress(NoAddress::Lookup(LookupError::TimedOut))
                }
                Phase::Race(race) => {
                    race.pending.into_iter().for_each(|key| drop(self.connections.remove(key)));
                    Trouble::TimedOut
                }
            };
            return self.fail(exchange, &trouble);
        }
        match &mut opening.phase {
            Phase::Race(_) => self.race(key),
            Phase::Lookup { ticket, meanwhile: Some((from, addresses)) } if *from <= self.now => {
                let (ticket, addresses) = (ticket.take(), addresses.clone());
                ticket.into_iter().for_each(|ticket| self.shared.directory.withdraw(ticket));
                self.take_addresses(key, Ok(addresses));
            }
            Phase::Lookup { .. } => {
                let next = opening.next_change();
                self.timers.set(&mut opening.timer, next, Subject::Opening(key));
            }
        }
    }

    /// Ends a request without an answer.
    pub(super) fn fail(&mut self, exchange: Box<Exchange>, trouble: &Trouble) {
        let id = exchange.request.endpoint.subscription;
        exchange.fail(trouble);
        self.make_ready(id);
    }
}
