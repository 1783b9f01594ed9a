//! The subscriptions of a loop: the requests that wait, and the connections that rest.
//!
//! A connection serves one subscription only. Subscriptions of different owners may have the same host. If they shared a
//! connection, a receiver could send a second answer ahead of time, and it would be taken for the answer to the next
//! request on the connection, which may be for another subscription.

use std::cell::Cell;
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use foldhash::fast::RandomState;
use wire::attempt::Failure;
use wire::ids::SubscriptionId;
use wire::request::{Endpoint, Request};

use super::slots::Key;
use super::timers::Timer;
use crate::exchange::Target;
use crate::rules::Rules;

/// A request that has waited for longer, because those before it have no answer yet, is given back. Requests are handed
/// over ahead only to endpoints that answer quickly, so this one no longer does.
pub const MAX_WAIT: Duration = Duration::from_millis(100);

#[derive(Default)]
pub struct Peers(HashMap<SubscriptionId, Peer, RandomState>);

#[derive(Default)]
pub struct Peer {
    /// The requests that were handed over and not started, and since when they wait.
    pub waiting: VecDeque<(Request, Instant)>,
    pub in_flight: Rc<Cell<usize>>,
    /// Open connections without a request. The one that was used last is at the end.
    pub resting: Vec<Key>,
    pub timer: Timer,
    /// Whether it is on the list of those that may start a request.
    pub is_ready: bool,
    target: Option<LastTarget>,
}

/// The target of an endpoint, as it was checked under these rules.
struct LastTarget {
    endpoint: Arc<Endpoint>,
    rules: Arc<Rules>,
    target: Result<Rc<Target>, Failure>,
}

impl Peers {
    pub fn get_or_insert(&mut self, id: SubscriptionId) -> &mut Peer {
        self.0.entry(id).or_default()
    }

    pub fn get_mut(&mut self, id: SubscriptionId) -> Option<&mut Peer> {
        self.0.get_mut(&id)
    }

    pub fn ids(&self) -> Vec<SubscriptionId> {
        self.0.keys().copied().collect()
    }

    /// Removes a subscription for which there is nothing to remember.
    pub fn forget_if_idle(&mut self, id: SubscriptionId) {
        if let Some(peer) = self.0.get(&id)
            && peer.waiting.is_empty()
            && peer.resting.is_empty()
            && peer.in_flight.get() == 0
        {
            self.0.remove(&id);
        }
    }
}

impl Peer {
    /// Takes the next request, if one more may be in flight.
    pub fn next(&mut self) -> Option<Request> {
        let (request, _) = self.waiting.front()?;
        match self.in_flight.get() < request.max_in_flight {
            true => self.waiting.pop_front().map(|(request, _)| request),
            false => None,
        }
    }

    /// When the requests that wait are to be given back.
    pub fn give_back_at(&self) -> Option<Instant> {
        self.waiting.front().map(|(_, since)| *since + MAX_WAIT)
    }

    /// Returns the target of an endpoint, checked under these rules. The next request mostly goes to the same endpoint, so
    /// its URL need not be read again.
    pub fn target(&mut self, endpoint: &Arc<Endpoint>, rules: &Arc<Rules>) -> Result<Rc<Target>, Failure> {
        if let Some(last) = &self.target
            && Arc::ptr_eq(&last.endpoint, endpoint)
            && Arc::ptr_eq(&last.rules, rules)
        {
            return last.target.clone();
        }
        let target = Target::new(&endpoint.url, &rules.policy).map(Rc::new);
        self.target = Some(LastTarget { endpoint: endpoint.clone(), rules: rules.clone(), target: target.clone() });
        target
    }
}
