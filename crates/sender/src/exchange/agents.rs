//! The connections of one thread. A connection serves one subscription only.
//!
//! Subscriptions of different owners may have the same host. If they shared a connection, a receiver could send a second
//! answer ahead of time, and it would be taken for the answer to the next request on the connection, which may be for
//! another subscription. So each subscription has a separate agent of ureq, with a separate pool.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ureq::Agent;
use ureq::config::{AutoHeaderValue, Config};
use ureq::unversioned::transport::Connector;
use wire::ids::SubscriptionId;

use crate::destination::{Directory, VettingResolver};
use crate::rules::Rules;
use crate::transport::{HeadConnector, OpenSockets, Preferences, TcpConnector, TlsConnector, Trace};

/// A connection that was idle for longer is not used again. Common receivers (Node among them) close theirs after five
/// seconds. A request that is sent at that moment is lost, and there is no way to know whether it arrived.
const MAX_IDLE: Duration = Duration::from_millis(4500);
/// The maximum number of idle connections of each thread, each for another subscription. `PER_THREAD` of the extension's
/// descriptors is one more.
const MAX_IDLE_CONNECTIONS: usize = 12;

/// The sizes of the buffers of a connection. With the defaults of ureq, 4,000 connections would take 1.2 GB.
const INPUT_BYTES: usize = 16 * 1024;
const OUTPUT_BYTES: usize = 8 * 1024;

/// What all connections of a thread need.
pub struct Agents {
    rules: Arc<Rules>,
    directory: Directory,
    sockets: Arc<OpenSockets>,
    preferences: Arc<Preferences>,
    trace: Arc<Trace>,
    /// The most recently used is the last one.
    kept: Vec<Kept>,
}

/// An agent, with at most one idle connection.
pub struct Kept {
    subscription: SubscriptionId,
    pub agent: Agent,
    /// The time limit in the configuration of the agent. A request with another time limit costs a copy of this
    /// configuration.
    pub limit: Duration,
    used: Instant,
}

impl Agents {
    pub fn new(
        rules: Arc<Rules>,
        directory: Directory,
        sockets: Arc<OpenSockets>,
        preferences: Arc<Preferences>,
        trace: Arc<Trace>,
    ) -> Self {
        Self { rules, directory, sockets, preferences, trace, kept: Vec::new() }
    }

    /// Returns the agent of a subscription. `limit` is the time limit of most of its requests.
    pub fn of(&mut self, subscription: SubscriptionId, limit: Duration) -> &Kept {
        let now = Instant::now();
        let old = self.kept.iter().take_while(|kept| now.duration_since(kept.used) >= MAX_IDLE).count();
        self.kept.drain(..old);
        let mut kept = match self.kept.iter().rposition(|kept| kept.subscription == subscription) {
            Some(place) => self.kept.remove(place),
            None => Kept { subscription, agent: self.new_agent(limit), limit, used: now },
        };
        kept.used = now;
        if self.kept.len() == MAX_IDLE_CONNECTIONS {
            self.kept.remove(0);
        }
        self.kept.push(kept);
        self.kept.last().expect("it was just added")
    }

    fn new_agent(&self, limit: Duration) -> Agent {
        let Self { sockets, preferences, trace, rules, directory, .. } = self;
        let tcp = TcpConnector { sockets: sockets.clone(), preferences: preferences.clone(), trace: trace.clone() };
        let tls = TlsConnector { roots: rules.roots.clone(), trace: trace.clone() };
        let resolver = VettingResolver { directory: directory.clone(), policy: rules.policy.clone() };
        Agent::with_parts(config(limit), tcp.chain(tls).chain(HeadConnector), resolver)
    }
}

/// Headers are added by `message`. Some things that ureq does by default are turned off: following redirects (they would
/// bypass the check of the URL), taking a proxy from the environment of the server (then the addresses would not be
/// checked), cookies, unpacking bodies.
fn config(limit: Duration) -> Config {
    Agent::config_builder()
        .timeout_global(Some(limit))
        .user_agent(AutoHeaderValue::None)
        .accept(AutoHeaderValue::None)
        .accept_encoding(AutoHeaderValue::None)
        .max_redirects(0)
        .proxy(None)
        .http_status_as_error(false)
        .input_buffer_size(INPUT_BYTES)
        .output_buffer_size(OUTPUT_BYTES)
        .max_idle_age(MAX_IDLE)
        .max_idle_connections(1)
        .max_idle_connections_per_host(1)
        .build()
}
