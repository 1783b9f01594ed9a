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

/// A request that was let in.
pub struct Admitted {
    pub credential: [u8; 32],
    stored: Stored,
    pub purpose: Purpose,
    granted: Option<Left>,
}

impl Gateway {
    /// Lets in a request with this key.
    pub fn admit(&self, key: Option<&str>) -> Result<Admitted, Problem> {
        let key = key.filter(|key| is_well_formed(Surface::Rest.token(), key));
        let credential = key.map(hash).ok_or_else(Problem::unauthenticated)?;
        let stored = token::stored(&credential);
        let (purpose, granted) = match self.credentials.meet(&stored, Instant::now()) {
            Memory::Refused => return Err(Problem::unauthenticated()),
            Memory::Over(left) => return Err(over(left)),
            Memory::Granted(left) => (Purpose::Known, Some(left)),
            Memory::Stranger | Memory::Known => (Purpose::Stranger, None),
        };
        Ok(Admitted { credential, stored, purpose, granted })
    }

    /// Remembers how the database has answered a request that was let in. Returns the key, and what is left of its quota.
    pub fn settle(&self, admitted: Admitted, reply: &mut Reply) -> Option<(Key, Left)> {
        let key = Instructions::take(&mut reply.headers).key;
        self.remember(admitted.stored, reply.status, key.is_some(), key);
        let key = key?;
        self.credentials.count(key.id, OffsetDateTime::now_utc().unix_timestamp());
        let left = admitted.granted.unwrap_or_else(|| self.credentials.take(Limited::Key(key), Instant::now()));
        Some((key, left))
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
