//! Answers requests that write a row of a resource: POST creates one, PATCH changes one, DELETE removes one.
//!
//! A request runs as the role of its key, in a subtransaction: if it fails, nothing of it stays, and the answer names the
//! fields that were refused. A row that is written gets the tenant of the key. Deferred constraints are checked before the
//! answer is made, so that it shows the row as it will be committed.
//!
//! An answer says nothing about rows that the key may not read. A row of another tenant does not exist: its id is not found, and
//! to refer to it is the same conflict as to refer to nothing. Only a unique key that does not begin with the tenant shows that
//! another tenant has a value, because no answer could hide it.
//!
//! | file | what it does |
//! |---|---|
//! | `body` | reads the body |
//! | `fields` | decides which fields may be written |
//! | `create`, `change`, `remove` | write the row |
//! | `target` | decides whether the row may be written: whether it is there, and has the expected ETag |
//! | `references`, `origins` | refuse references to rows that the key does not see |
//! | `refusal` | makes a problem of an error |
//! | `idempotency` | gives the same answer to a request that is repeated |
//! | `rehearsal` | does it, undoes it, and says what would happen |

pub mod body;
mod change;
mod create;
pub mod fields;
mod idempotency;
mod origins;
mod references;
mod refusal;
pub mod rehearsal;
mod remove;
pub mod target;

use pgrx::pg_sys::panic::CaughtError;
use wire::form;

use super::representation::Representation;
use super::resource::Resource;
use super::{Call, require};
use crate::backend::subtransaction::{attempt_to, must_end};
use crate::backend::{deadline, diagnostics};
use crate::serve::answer::Answer;
use crate::serve::problem::Problem;
use crate::serve::sql;
use body::Body;

pub use idempotency::once;
pub use rehearsal::is_wanted as is_rehearsal;

/// What a request does.
enum Write<'a> {
    Create,
    Change(&'a str),
    Remove(&'a str),
}

/// What was written.
pub enum Written {
    /// A row with this id.
    Created(String, Representation),
    Changed(Representation),
    Removed,
}

/// Answers a request to all rows of a resource whose method is not one of those that read.
pub fn collection(call: &Call<'_>, resource: &Resource) -> Result<Answer, Problem> {
    match call.request.method.as_str() {
        "POST" if !resource.creatable.is_empty() => answer(call, resource, &Write::Create),
        _ if resource.creatable.is_empty() => Err(Problem::method_not_allowed("GET, HEAD")),
        _ => Err(Problem::method_not_allowed("GET, HEAD, POST")),
    }
}

/// Answers a request to the row with this id, as it stands in the path, whose method is not one of those that read.
pub fn item(call: &Call<'_>, resource: &Resource, id: &str) -> Result<Answer, Problem> {
    let id = form::unescaped(id).ok_or_else(Problem::not_found)?;
    let is_updatable = !resource.updatable.is_empty();
    match call.request.method.as_str() {
        "PATCH" if is_updatable => answer(call, resource, &Write::Change(&id)),
        "DELETE" if resource.deletable => answer(call, resource, &Write::Remove(&id)),
        _ => Err(Problem::method_not_allowed(match (is_updatable, resource.deletable) {
            (true, true) => "GET, HEAD, PATCH, DELETE",
            (true, false) => "GET, HEAD, PATCH",
            (false, true) => "GET, HEAD, DELETE",
            (false, false) => "GET, HEAD",
        })),
    }
}

fn answer(call: &Call<'_>, resource: &Resource, write: &Write<'_>) -> Result<Answer, Problem> {
    require(call, &format!("{}:write", resource.name))?;
    if !call.request.query.is_empty() {
        return Err(Problem::bad_request().with_detail("A request that writes has no parameters."));
    }
    match rehearsal::is_wanted(call.request) {
        true => rehearsal::answer(call, || perform(call, resource, write)),
        false => {
            idempotency::once(call, || perform(call, resource, write).map(|written| written.answer(&resource.name)))
        }
    }
}

/// Does what a request says. If it is refused, nothing of it stays.
fn perform(call: &Call<'_>, resource: &Resource, write: &Write<'_>) -> Result<Written, Problem> {
    let (permitted, types): (_, &[&str]) = match write {
        Write::Create => (&resource.creatable, &[body::JSON]),
        Write::Change(_) => (&resource.updatable, &[body::JSON, body::MERGE_PATCH]),
        Write::Remove(id) => {
            let remove = || diagnostics::noting(|| remove::remove(call, resource, id));
            return attempted(remove, |error| refusal::problem(resource, None, error));
        }
    };
    let body: Body<'_> = body::read(call.request, types)?;
    let values = fields::values(resource, permitted, call.key.tenant.is_some(), &body)?;
    let write = || match write {
        Write::Change(id) => change::change(call, resource, id, &values),
        _ => create::create(call, resource, &values),
    };
    attempted(|| diagnostics::noting(write), |error| refusal::problem(resource, Some(&values), error))
}

/// Runs `body` in a subtransaction, of which nothing stays if it is refused. `problem` says what an error is to the caller.
pub fn attempted<T>(
    body: impl FnOnce() -> Result<T, Problem>,
    problem: impl FnOnce(&CaughtError) -> Problem,
) -> Result<T, Problem> {
    match attempt_to(body) {
        Ok(result) => result,
        Err(error) if must_end(&error) || deadline::is_over() => error.rethrow(),
        Err(error) => Err(problem(&error)),
    }
}

/// Checks what is deferred to the end of the transaction.
fn check_deferred() {
    sql::run("SET CONSTRAINTS ALL IMMEDIATE", &[]);
}

/// A row that was written is not among those that the key sees. It must not stay: nobody could correct it.
fn not_kept() -> Problem {
    Problem::invalid()
        .with_detail("The row would not be among those of this path afterwards, so it was not written.")
        .with_hint("A trigger of the application may have skipped it, or an INSTEAD OF trigger may not return its id.")
}

impl Written {
    /// Returns the answer about something of the resource with this name.
    pub fn answer(self, resource: &str) -> Answer {
        let of = |status, row: Representation| Answer::json_text(status, row.text).with_header("etag", row.etag);
        match self {
            Self::Created(id, row) => {
                let location = format!("/api/v1/{resource}/{}", form::escaped(&id));
                of(201, row).with_header("location", location)
            }
            Self::Changed(row) => of(200, row),
            Self::Removed => Answer::no_content(),
        }
    }

    /// JSON.
    fn into_result(self) -> String {
        match self {
            Self::Created(_, row) | Self::Changed(row) => row.text,
            Self::Removed => "null".into(),
        }
    }
}
