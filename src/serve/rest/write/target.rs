//! Finds the row that a request is to change or to remove, and decides whether it is the one that the caller means.
//!
//! With If-Match, the row is locked and rendered again: whoever has changed it since the caller read it has given it another
//! ETag, and whoever wants to change it now waits. Only a role that may change rows may lock them. One that may only remove them
//! removes the row, and what it has removed is looked at again.

use crate::serve::problem::Problem;
use crate::serve::request::Request;
use crate::serve::rest::representation::{self, Representation};
use crate::serve::rest::resource::Resource;
use crate::serve::sql;

/// Fails unless the row with this id is there, and the request may change it in its present state.
pub fn find(request: &Request, resource: &Resource, id: &str) -> Result<(), Problem> {
    if is_conditional(request) {
        let row = lock(request, resource, id)?.ok_or_else(Problem::not_found)?;
        return check(request, &row);
    }
    match representation::exists(resource, id)? {
        true => Ok(()),
        false => Err(Problem::not_found()),
    }
}

/// Whether the request is for a row in a certain state.
pub fn is_conditional(request: &Request) -> bool {
    expected(request).is_some()
}

/// Fails unless the row is the one that the caller means.
pub fn check(request: &Request, row: &Representation) -> Result<(), Problem> {
    match expected(request) {
        Some(expected) if !expected.iter().any(|etag| *etag == "*" || *etag == row.etag) => {
            Err(Problem::precondition_failed())
        }
        _ => Ok(()),
    }
}

/// Returns the ETags of If-Match; `None` if the request does not have this header.
fn expected(request: &Request) -> Option<Vec<&str>> {
    let mut headers = request.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("if-match")).peekable();
    headers.peek()?;
    Some(headers.flat_map(|(_, value)| value.split(',')).map(str::trim).collect())
}

fn lock(request: &Request, resource: &Resource, id: &str) -> Result<Option<Representation>, Problem> {
    match representation::fetch(resource, id, true) {
        // The rows of a view with groups cannot be locked, nor those that the role may only remove. Then requests of the API wait
        // for each other.
        Err(problem) if cannot_be_locked(request, &problem) => {
            const LOCK: &str = "SELECT pg_catalog.pg_advisory_xact_lock(
                                    pg_catalog.hashtextextended($2, $1::pg_catalog.oid::pg_catalog.int8))";
            sql::run(LOCK, &[resource.relation.into(), id.into()]);
            representation::fetch(resource, id, false)
        }
        fetched => fetched,
    }
}

fn cannot_be_locked(request: &Request, problem: &Problem) -> bool {
    match problem.code.as_deref() {
        Some("0A000") => true,
        Some("42501") => request.method == "DELETE",
        _ => false,
    }
}

/// To be called if no row was written. Fails unless a trigger of the application has decided that: one that returns NULL, as
/// those do that mark a row instead of deleting it.
pub fn untouched(resource: &Resource, id: &str, event: &str) -> Result<(), Problem> {
    // ROW and BEFORE are the first two bits of the type of a trigger, INSTEAD is its seventh.
    const SKIPS: &str = "SELECT EXISTS (SELECT FROM pg_catalog.pg_trigger AS t
                                        WHERE t.tgrelid = $1 AND NOT t.tgisinternal AND t.tgtype & 1 = 1
                                              AND (t.tgtype & 2 = 2 OR t.tgtype & 64 = 64)
                                              AND t.tgtype & CASE $2 WHEN 'update' THEN 16 ELSE 8 END > 0)";
    if sql::one::<bool>(SKIPS, &[resource.relation.into(), event.into()]) == Some(true) {
        return Ok(());
    }
    match representation::exists(resource, id)? {
        true => Err(Problem::forbidden()),
        false => Err(Problem::not_found()),
    }
}
