//! One attempt: a signed POST and its answer, with ureq.
//!
//! Each thread has a separate client, and so its own connections: the connection pool that ureq shares among threads is one
//! lock around linear scans. Some things that ureq does by default are turned off: following redirects (they would bypass
//! the check of the URL), taking a proxy from the environment of the server (then the addresses would not be checked),
//! cookies, unpacking bodies.

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

/// A connection that rested longer is not used again. Common receivers (Node among them) close theirs after five seconds. A
/// request that is under way just then would be lost, and nobody could say whether it arrived.
const MAX_IDLE: Duration = Duration::from_millis(4500);
/// For each thread. One for each host is enough, because a thread makes one request at a time.
const MAX_IDLE_CONNECTIONS: usize = 3;

/// More than receivers send; bounds what an endless header takes.
const MAX_ANSWER_HEADER_BYTES: usize = 16_000;
/// Larger than the header may be, because ureq reads it in one piece. ureq's default of 128 kB would take 1.2 GB at 4,000
/// connections.
const INPUT_BYTES: usize = 16 * 1024;
const OUTPUT_BYTES: usize = 8 * 1024;

/// Makes attempts, one at a time, under the rules that were in force when it was made.
pub struct Client {
    agent: Agent,
    /// The agent's own time limit. A request with another limit costs a copy of the agent's configuration.
    limit: Duration,
    rules: Arc<Rules>,
    trace: Arc<Trace>,
    /// Where the latest request went: the next one mostly goes there too, and need not be parsed again.
    latest: Option<(Arc<Endpoint>, Uri)>,
}

impl Client {
    /// `limit` is the time limit of most requests to come.
    pub fn new(rules: Arc<Rules>, directory: Directory, sockets: Arc<OpenSockets>, limit: Duration) -> Self {
        let trace = Arc::new(Trace::default());
        let connector = TcpConnector { sockets, trace: trace.clone() };
        let connector = connector.chain(TlsConnector { roots: rules.roots.clone(), trace: trace.clone() });
        let resolver = VettingResolver { directory, policy: rules.policy.clone() };
        Self { agent: Agent::with_parts(config(limit), connector, resolver), limit, rules, trace, latest: None }
    }

    /// Whether these are its rules, under which its connections were opened.
    pub fn keeps_to(&self, rules: &Arc<Rules>) -> bool {
        Arc::ptr_eq(&self.rules, rules)
    }

    /// `now` is the time that is signed.
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

    /// Checked under the rules of this client, which stay the same.
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

    /// A receiver may close a resting connection at the moment when it is used again. Then the request was most likely not
    /// read, and it costs no attempt: it is made once more, on a new connection.
    fn send(&self, request: &Request, uri: &Uri, now: SystemTime) -> Result<Response<Body>, Failure> {
        let started = Instant::now();
        let limit = request.endpoint.timeout;
        let mut result = self.exchange(request, uri, now, limit);
        if result.as_ref().is_err_and(is_hang_up) && self.trace.is_reused_and_silent() {
            result = self.exchange(request, uri, now, limit.saturating_sub(started.elapsed()));
        }
        result.map_err(|error| failure::from_http(&error, self.trace.is_answered()))
    }

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

fn message(request: &Request, uri: Uri, now: SystemTime) -> Result<http::Request<&str>, Error> {
    let Endpoint { schemes, secrets, headers, .. } = &*request.endpoint;
    let mut builder = http::Request::post(uri).header(http::header::CONTENT_TYPE, "application/json");
    let at = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let signed = Signed { id: request.delivery, at, body: &request.body };
    let usual = [request.preset.scheme()];
    let signatures = signature::headers(if schemes.is_empty() { &usual } else { schemes }, secrets, signed);
    for (name, field) in request.preset.headers() {
        // The headers of a signature may have the id and the time already.
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

fn is_hang_up(error: &Error) -> bool {
    use std::io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    let Error::Io(error) = error else {
        return false;
    };
    matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof)
}
