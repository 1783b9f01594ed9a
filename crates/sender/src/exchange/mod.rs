//! Makes one attempt: a signed POST and its answer, with ureq.
//!
//! Each thread has a separate client, and so its own connections: the connection pool that ureq shares among threads is
//! searched one entry after the other, under one lock. Some things that ureq does by default are turned off: following
//! redirects (they would bypass the check of the URL), taking a proxy from the environment of the server (then the
//! addresses would not be checked), cookies, unpacking bodies.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use http::{Response, Uri};
use ureq::config::{AutoHeaderValue, Config};
use ureq::unversioned::transport::Connector;
use ureq::{Agent, Body, Error};
use wire::attempt::{ErrorClass, Failure, Outcome};
use wire::preset::Field;
use wire::request::{Endpoint, Request};
use wire::signature::{self, Signed};

use crate::destination::{Directory, VettingResolver, parse_url};
use crate::rules::Rules;
use crate::transport::{OpenSockets, TcpConnector, TlsConnector, Trace};

mod answer;
mod failure;

pub use answer::read_answer;

const USER_AGENT: &str = "Hydra-Webhooks/1.0";

/// A connection that was idle for longer is not used again. Common receivers (Node among them) close theirs after five
/// seconds. A request that is sent at that moment is lost, and there is no way to know whether it arrived.
const MAX_IDLE: Duration = Duration::from_millis(4500);
/// The maximum number of idle connections of each thread. One for each host is enough, because a thread makes one
/// request at a time.
const MAX_IDLE_CONNECTIONS: usize = 3;

/// The maximum size of the header of an answer. Receivers send less. The limit bounds the memory for an endless header.
const MAX_ANSWER_HEADER_BYTES: usize = 16_000;
/// The size of the input buffer. It must be larger than [`MAX_ANSWER_HEADER_BYTES`], because ureq reads the header in
/// one piece. With the default of ureq, 128 kB, 4,000 connections would take 1.2 GB.
const INPUT_BYTES: usize = 16 * 1024;
const OUTPUT_BYTES: usize = 8 * 1024;

/// Makes attempts, one at a time, under the rules that were in force when the client was created.
pub struct Client {
    agent: Agent,
    /// The time limit in the configuration of the agent. A request with another time limit costs a copy of this
    /// configuration.
    limit: Duration,
    rules: Arc<Rules>,
    trace: Arc<Trace>,
    /// The endpoint and URL of the latest request. The next request mostly goes to the same endpoint, so its URL need
    /// not be parsed again.
    latest: Option<(Arc<Endpoint>, Uri)>,
}

impl Client {
    /// Creates a client. `limit` is the time limit of most requests to come.
    pub fn new(rules: Arc<Rules>, directory: Directory, sockets: Arc<OpenSockets>, limit: Duration) -> Self {
        let trace = Arc::new(Trace::default());
        let connector = TcpConnector { sockets, trace: trace.clone() };
        let connector = connector.chain(TlsConnector { roots: rules.roots.clone(), trace: trace.clone() });
        let resolver = VettingResolver { directory, policy: rules.policy.clone() };
        Self { agent: Agent::with_parts(config(limit), connector, resolver), limit, rules, trace, latest: None }
    }

    /// Whether this client was created with these rules, under which its connections were opened.
    pub fn keeps_to(&self, rules: &Arc<Rules>) -> bool {
        Arc::ptr_eq(&self.rules, rules)
    }

    /// Makes an attempt. `now` is the time that is signed.
    pub fn attempt(&mut self, request: &Request, now: SystemTime) -> Outcome {
        let response = self.uri(&request.endpoint).and_then(|uri| self.send(request, &uri, now));
        match response {
            Ok(response) => {
                let (head, mut body) = response.into_parts();
                Outcome::Answered(read_answer(&head, body.as_reader(), now))
            }
            Err(failure) => Outcome::Failed(failure),
        }
    }

    /// Returns the URL of the endpoint, checked under the rules of this client, which do not change.
    fn uri(&mut self, endpoint: &Arc<Endpoint>) -> Result<Uri, Failure> {
        if let Some((latest, uri)) = &self.latest
            && Arc::ptr_eq(latest, endpoint)
        {
            return Ok(uri.clone());
        }
        let uri = parse_url(&endpoint.url, &self.rules.policy)
            .map_err(|refusal| Failure::new(ErrorClass::Destination, refusal.message))?;
        self.latest = Some((Arc::clone(endpoint), uri.clone()));
        Ok(uri)
    }

    /// Sends the request, and if necessary a second time. A receiver may close an idle connection at the moment when it
    /// is used again. Then the request was most likely not read, so it is sent again on a new connection, and both
    /// together are one attempt.
    fn send(&self, request: &Request, uri: &Uri, now: SystemTime) -> Result<Response<Body>, Failure> {
        let started = Instant::now();
        let limit = request.endpoint.timeout;
        let mut result = self.exchange(request, uri, now, limit);
        if result.as_ref().is_err_and(is_hang_up) && self.trace.is_reused_and_silent() {
            result = self.exchange(request, uri, now, limit.saturating_sub(started.elapsed()));
        }
        let all_roots = self.rules.roots.is_complete();
        result.map_err(|error| failure::from_http(&error, self.trace.is_answered(), all_roots))
    }

    /// Sends the request once and reads the header of the answer.
    fn exchange(
        &self,
        request: &Request,
        uri: &Uri,
        now: SystemTime,
        limit: Duration,
    ) -> Result<Response<Body>, Error> {
        self.trace.clear();
        let message = message(request, uri.clone(), now)?;
        if limit == self.limit {
            return self.agent.run(message);
        }
        self.agent.run(self.agent.configure_request(message).timeout_global(Some(limit)).build())
    }
}

fn config(limit: Duration) -> Config {
    Agent::config_builder()
        .timeout_global(Some(limit))
        .user_agent(USER_AGENT)
        .accept(AutoHeaderValue::None)
        .accept_encoding(AutoHeaderValue::None)
        .max_redirects(0)
        .proxy(None)
        .http_status_as_error(false)
        .max_response_header_size(MAX_ANSWER_HEADER_BYTES)
        .input_buffer_size(INPUT_BYTES)
        .output_buffer_size(OUTPUT_BYTES)
        .max_idle_age(MAX_IDLE)
        .max_idle_connections(MAX_IDLE_CONNECTIONS)
        .max_idle_connections_per_host(1)
        .build()
}

/// Builds the HTTP request, with the headers of the preset, the signatures and the subscription.
fn message(request: &Request, uri: Uri, now: SystemTime) -> Result<http::Request<&str>, Error> {
    let Endpoint { schemes, secrets, headers, .. } = &*request.endpoint;
    let mut builder = http::Request::post(uri).header(http::header::CONTENT_TYPE, "application/json");
    let at = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let signed = Signed { id: request.delivery, at, body: &request.body };
    let usual = [request.preset.scheme()];
    let signatures = signature::headers(if schemes.is_empty() { &usual } else { schemes }, secrets, signed);
    for (name, field) in request.preset.headers() {
        // The headers of a signature may contain the id and the time already.
        if signatures.iter().all(|(signed, _)| signed != name) {
            builder = match field {
                Field::EventType => builder.header(*name, &*request.event_type),
                Field::DeliveryId => builder.header(*name, request.delivery.to_string()),
                Field::Time => builder.header(*name, at),
            };
        }
    }
    for (name, value) in signatures {
        builder = builder.header(name, value);
    }
    for (name, value) in headers {
        builder = builder.header(name, value);
    }
    Ok(builder.body(&*request.body)?)
}

/// Whether the receiver closed the connection.
fn is_hang_up(error: &Error) -> bool {
    use std::io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    let Error::Io(error) = error else {
        return false;
    };
    matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof)
}
