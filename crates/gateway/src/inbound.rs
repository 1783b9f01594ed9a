//! Requests of other systems to the URLs of inbound adapters.
//!
//! The secret part of the URL is all that the gateway looks at, and it passes only the hash. The host is not looked at: a
//! proxy or a tunnel may have changed it, and no page of ours is served here. An unknown secret is answered like any path
//! that there is not, and is remembered for a moment, so that the database does not hear of each guess.

use std::time::Instant;

use hyper::Request;
use hyper::body::Incoming;
use wire::token::{self, is_well_formed};

use crate::answer::{Answer, Instructions};
use crate::credentials::{Limited, Memory};
use crate::exchange::{Exchange, hash};
use crate::pool::Purpose;
use crate::problem::Problem;
use crate::route::Surface;

/// How the database sees the path, without its secret.
const PATH: &str = "/in";

impl Exchange<'_> {
    pub async fn inbound(&self, request: Request<Incoming>, token: &str) -> Result<Answer, Problem> {
        // GET is that of a handshake.
        if !matches!(request.method().as_str(), "GET" | "POST") {
            return Err(Problem::method_not_allowed("POST"));
        }
        if !is_well_formed(Surface::Inbound.token(), token) {
            return Err(Problem::not_found());
        }
        let credential = hash(token);
        let stored = token::stored(&credential);
        let (purpose, is_known) = match self.meet(Some(&stored)) {
            Memory::Refused => return Err(Problem::not_found()),
            Memory::Over(left) => return Err(Problem::too_many(left.reset_seconds())),
            Memory::Granted(_) => (Purpose::Known, true),
            Memory::Stranger | Memory::Known => (Purpose::Stranger, false),
        };
        let mut reply = self.ask(request, Surface::Inbound, PATH, Some(credential), purpose).await?;
        let credentials = &self.gateway.credentials;
        match Instructions::take(&mut reply.headers).adapter.map(Limited::Adapter) {
            Some(adapter) => {
                credentials.accepted(stored, Some(adapter), Instant::now());
                if !is_known {
                    credentials.take(adapter, Instant::now());
                }
            }
            None if reply.status == 404 => {
                credentials.refused(stored, Instant::now());
                return Err(Problem::not_found());
            }
            None => {}
        }
        Ok(Answer::data(reply, None))
    }
}
