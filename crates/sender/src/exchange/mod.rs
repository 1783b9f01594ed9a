//! Makes one attempt: a signed POST and its answer, with ureq.
//!
//! Each thread has a separate client, and so its own connections: the connection pool that ureq shares among threads is
//! searched one entry after the other, under one lock.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use http::{Response, Uri};
use ureq::{Body, Error};
use wire::attempt::{ErrorClass, Failure, Outcome};
use wire::request::{Endpoint, Request};

use crate::destination::{Directory, parse_url};
use crate::rules::Rules;
use crate::transport::{OpenSockets, Preferences, Trace};

mod agents;
mod answer;
mod failure;
mod message;

use agents::Agents;

pub use answer::read_answer;

/// Makes attempts, one at a time, under the rules that were in force when the client was created.
pub struct Client {
    agents: Agents,
    rules: Arc<Rules>,
    trace: Arc<Trace>,
    /// The endpoint and URL of the latest request. The next request mostly goes to the same endpoint, so its URL need
    /// not be parsed again.
    latest: Option<(Arc<Endpoint>, Uri)>,
}

impl Client {
    pub fn new(
        rules: Arc<Rules>,
        directory: Directory,
        sockets: Arc<OpenSockets>,
        preferences: Arc<Preferences>,
    ) -> Self {
        let trace = Arc::new(Trace::default());
        let agents = Agents::new(rules.clone(), directory, sockets, preferences, trace.clone());
        Self { agents, rules, trace, latest: None }
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
    fn send(&mut self, request: &Request, uri: &Uri, now: SystemTime) -> Result<Response<Body>, Failure> {
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
        &mut self,
        request: &Request,
        uri: &Uri,
        now: SystemTime,
        limit: Duration,
    ) -> Result<Response<Body>, Error> {
        self.trace.clear();
        let kept = self.agents.of(request.endpoint.subscription, request.endpoint.timeout);
        let mut builder = message::with_headers(kept.agent.post(uri), request, uri, now);
        if limit != kept.limit {
            builder = builder.config().timeout_global(Some(limit)).build();
        }
        builder.send(&*request.body)
    }
}

/// Whether the receiver closed the connection.
fn is_hang_up(error: &Error) -> bool {
    use std::io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    let Error::Io(error) = error else {
        return false;
    };
    matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof)
}
