//! Requests with an API key: let in within its quota, and remembered.

use std::time::Instant;

use time::OffsetDateTime;
use wire::token::{self, is_well_formed};

use crate::answer::Instructions;
use crate::call::Reply;
use crate::credentials::{Key, Limited, Memory, Stored};
use crate::exchange::hash;
use crate::gateway::Gateway;
use crate::pool::Purpose;
use crate::problem::Problem;
use crate::quota::Left;
use crate::route::Surface;

/// Returns the credential of a key as the database is told it, if the key is well formed.
pub fn credential(key: Option<&str>) -> Result<[u8; 32], Problem> {
    key.filter(|key| is_well_formed(Surface::Rest.token(), key)).map(hash).ok_or_else(Problem::unauthenticated)
}

/// A request that was let in.
pub struct Admitted {
    stored: Stored,
    pub purpose: Purpose,
    granted: Option<Left>,
}

impl Gateway {
    /// Lets in a request with this credential, unless it was refused just now or has used up its requests.
    pub fn admit(&self, credential: [u8; 32]) -> Result<Admitted, Problem> {
        let stored = token::stored(&credential);
        let (purpose, granted) = match self.credentials.meet(&stored, Instant::now()) {
            Memory::Refused => return Err(Problem::unauthenticated()),
            Memory::Over(left) => return Err(over(left)),
            Memory::Granted(left) => (Purpose::Known, Some(left)),
            Memory::Stranger | Memory::Known => (Purpose::Stranger, None),
        };
        Ok(Admitted { stored, purpose, granted })
    }

    /// Remembers how the database has answered a request that was let in. Returns what the database says to the gateway, and
    /// what is left of the quota.
    pub fn settle(&self, admitted: Admitted, reply: &mut Reply) -> (Instructions, Option<Left>) {
        let instructions = Instructions::take(&mut reply.headers);
        let key = instructions.key;
        self.remember(admitted.stored, reply.status, key.is_some(), key);
        let left = key.map(|key| {
            self.credentials.count(key.id, OffsetDateTime::now_utc().unix_timestamp());
            admitted.granted.unwrap_or_else(|| self.credentials.take(Limited::Key(key), Instant::now()))
        });
        (instructions, left)
    }

    pub fn remember(&self, stored: Stored, status: u16, is_known: bool, key: Option<Key>) {
        match status {
            401 => self.credentials.refused(stored, Instant::now()),
            _ if is_known && status < 500 => {
                self.credentials.accepted(stored, key.map(Limited::Key), Instant::now());
            }
            _ => {}
        }
    }
}

fn over(left: Left) -> Problem {
    let problem = Problem::over_quota(left.reset_seconds());
    left.headers().into_iter().fold(problem, |problem, (name, value)| problem.with_header(name, value))
}
