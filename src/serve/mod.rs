//! `hydra.serve`: answers one HTTP request, which a gateway passes on. `docs/gateway-seam.md` describes the call.
//!
//! A call puts the session back into its initial state, finds out who asks, and runs the request as the role of the
//! credential, in a subtransaction: if it fails, its effects are undone and the answer describes the error. The gateway
//! commits in any case.
//!
//! | file | what it does |
//! |---|---|
//! | `request` | reads what the gateway passes |
//! | `answer`, `problem` | make what the gateway gets: an answer, or why there is none |
//! | `session` | puts the session back |
//! | `identity` | finds out who asks, and runs code as that role |
//! | `acting_role` | knows as which roles requests may act |
//! | `context` | keeps tenant, key and scopes of the request |
//! | `deferrable` | knows which tables have triggers that can be deferred |
//! | `sql`, `plans` | run statements, and keep their plans |
//! | `refused` | knows which field of a request our functions refuse |
//! | `console` | answers requests of the settings pages |
//! | `rest` | answers requests with an API key |
//! | `mcp` | answers messages of MCP: the same for models |
//! | `approval` | keeps what models want to write until somebody has confirmed it |
//! | `crate::mail` | takes messages of mail |
//! | `gateway` | answers calls of the gateway itself |
//! | `direct` | runs a statement as a request would, for superusers |
//! | `rehearse` | runs something, collects its effects, and undoes them |

use std::time::Duration;

use pgrx::JsonB;
use pgrx::datum::Inet;
use pgrx::pg_sys::panic::CaughtError;
use pgrx::prelude::*;
use wire::packed;

use crate::backend::subtransaction::{attempt, must_end};
use crate::backend::{deadline, extension_lock};
use crate::inbound;
use crate::mail::lmtp;
use answer::Answer;
use problem::{Problem, Texts};
use request::Request;

mod acting_role;
pub mod answer;
pub mod approval;
mod console;
pub mod context;
mod deferrable;
mod direct;
mod gateway;
pub mod identity;
pub mod mcp;
mod plans;
pub mod problem;
mod refused;
pub mod rehearse;
pub mod request;
mod rest;
pub mod session;
pub mod sql;

/// The version of the interface between gateways and the extension.
const PROTOCOL: i32 = 1;

/// How long a request may take.
pub const LIMIT: Duration = Duration::from_secs(10);

/// No path and no query of ours is longer.
const MAX_PATH: usize = 8192;

#[pg_extern]
#[allow(clippy::too_many_arguments)] // parts of a request
#[allow(clippy::type_complexity)] // pgrx reads the columns off the type
fn serve(
    protocol: Option<i32>,
    surface: Option<&str>,
    credential: Option<&[u8]>,
    method: Option<&str>,
    path: Option<&str>,
    query: Option<&str>,
    headers: Option<JsonB>,
    body: Option<&[u8]>,
    peer: Option<Inet>,
) -> TableIterator<'static, (name!(status, i32), name!(headers, JsonB), name!(body, Vec<u8>))> {
    let headers = headers.map_or(Some(Vec::new()), |headers| request::pairs(&headers.0));
    let request = Request::new(surface, credential, method, path, query, headers, body);
    let (status, headers, body) = whole(protocol, &request, peer).into_columns();
    TableIterator::once((status, JsonB(headers), body))
}

/// The same with headers and answer as bytes, see [`wire::packed`]. Such a call takes less time: nothing becomes `jsonb` and text again,
/// and there is no set of rows.
#[pg_extern]
#[allow(clippy::too_many_arguments)] // parts of a request
fn serve_packed(
    protocol: Option<i32>,
    surface: Option<&str>,
    credential: Option<&[u8]>,
    method: Option<&str>,
    path: Option<&str>,
    query: Option<&str>,
    headers: Option<&[u8]>,
    body: Option<&[u8]>,
    peer: Option<&str>,
) -> Vec<u8> {
    let headers = headers.map_or(Some(Vec::new()), packed::read_headers);
    let request = Request::new(surface, credential, method, path, query, headers, body);
    whole(protocol, &request, peer.map(|peer| Inet(peer.to_owned()))).packed()
}

/// Answers a request, whatever happens, and leaves the session as a new one.
fn whole(protocol: Option<i32>, request: &Request, peer: Option<Inet>) -> Answer {
    if !session::is_transaction_fit() {
        return Answer::begin_wanted(&request.id).with_common_headers(&request.id);
    }
    session::put_back();
    session::prepare();
    extension_lock::hold();
    let answer = answer(protocol, request, peer).unwrap_or_else(|problem| Answer::problem(&problem, &request.id));
    session::put_back();
    session::make_commit_durable();
    answer.with_common_headers(&request.id)
}

fn answer(protocol: Option<i32>, request: &Request, peer: Option<Inet>) -> Result<Answer, Problem> {
    if protocol != Some(PROTOCOL) {
        let spoken = protocol.map_or("none".into(), |number| number.to_string());
        warning!("hydra.serve speaks protocol {PROTOCOL}, and the gateway {spoken}: install the same version of both");
        return Err(Problem::unavailable().with_detail("The gateway and the database have different versions."));
    }
    if !request.is_readable {
        return Err(Problem::bad_request().with_detail("The headers cannot be read."));
    }
    if request.path.len() > MAX_PATH || request.query.len() > MAX_PATH {
        return Err(Problem::invalid().with_detail("The path or the query is too long."));
    }
    if request.reads() {
        session::read_only();
    }
    let own = |error: &CaughtError| Problem::of(error, Texts::Own);
    let foreign = |error: &CaughtError| Problem::of(error, Texts::Foreign);
    match request.surface.as_str() {
        "console" => within(request, console::limit(request), own, || console::answer(request)),
        "inbound" => within(request, LIMIT, Problem::of_fault, || inbound::answer(request, peer)),
        "rest" => within(request, LIMIT, foreign, || rest::answer(request)),
        "mcp" => within(request, LIMIT, foreign, || mcp::answer(request)),
        "gateway" => within(request, LIMIT, own, || gateway::answer(request)),
        "mail" => within(request, LIMIT, Problem::of_fault, || lmtp::answer(request)),
        "direct" => within(request, LIMIT, foreign, || direct::answer(request)),
        _ => Err(Problem::not_found()),
    }
}

/// Runs a request in a subtransaction and with a time limit. `problem` says what an error is to the caller.
fn within(
    request: &Request,
    limit: Duration,
    problem: impl FnOnce(&CaughtError) -> Problem,
    body: impl FnOnce() -> Result<Answer, Problem>,
) -> Result<Answer, Problem> {
    let former = session::transaction_id();
    let attempted = attempt(|| {
        let answer = deadline::with_deadline(limit, body)?;
        if request.reads() {
            session::refuse_writes(former);
        }
        Ok(answer)
    });
    match attempted {
        Ok(result) => result,
        Err(error) if must_end(&error) && !deadline::is_over() => error.rethrow(),
        Err(error) => Err(problem(&error)),
    }
}
