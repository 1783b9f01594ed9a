//! Evaluates the JSON paths of an adapter on what came. Some paths take exponential time on what a stranger can send, so they
//! have a limit.

use std::time::Duration;

use pgrx::prelude::*;

use crate::backend::subtransaction::in_subtransaction;
use crate::backend::time_limit;

const LIMIT: Duration = Duration::from_secs(2);

/// Runs a query that has JSON paths. Returns why it has failed.
pub fn evaluate<T>(query: impl Fn() -> T) -> Result<T, String> {
    time_limit::limited(LIMIT, || in_subtransaction(query)).map_err(|failure| match failure.code {
        PgSqlErrorCode::ERRCODE_QUERY_CANCELED => "the JSON paths of the adapter take too long".into(),
        _ => failure.message,
    })
}
