//! Gives a request that is repeated the answer that it got, and does not do it again.
//!
//! The client chooses an Idempotency-Key for each request, and repeats it with the request if it got no answer. The row with the
//! answer is written in the transaction of the effect, so there is one if and only if there is the other. A second request
//! that comes while the first is being answered waits at the unique index, for as long as requests wait for locks.
//!
//! A secret that is shown once is not in the answer that is kept.

use pgrx::JsonB;
use pgrx::pg_sys::panic::CaughtError;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::backend::sqlstate;
use crate::backend::subtransaction::{attempt, must_end, report};
use crate::serve::answer::Answer;
use crate::serve::problem::Problem;
use crate::serve::request::Request;
use crate::serve::rest::Call;
use crate::serve::sql;
use crate::store::columns;
use crate::tables;

columns!(KeptColumns { fingerprint, status, headers, body });

const BEGIN: &str = include_str!("../../../../sql/queries/begin_idempotent.sql");
const FIND: &str = include_str!("../../../../sql/queries/find_idempotent.sql");
const END: &str = include_str!("../../../../sql/queries/end_idempotent.sql");
const CANCEL: &str = include_str!("../../../../sql/queries/cancel_idempotent.sql");

/// The headers of answers that are repeated.
const HEADERS: [&str; 4] = ["content-type", "etag", "location", "allow"];

/// No key is longer.
const MAX_KEY: usize = 255;

/// An answer that was given before.
struct Kept {
    fingerprint: Vec<u8>,
    status: i32,
    headers: Value,
    body: Vec<u8>,
}

/// Returns what `perform` does, or the answer that the same request has got before.
pub fn once(call: &Call<'_>, perform: impl FnOnce() -> Result<Answer, Problem>) -> Result<Answer, Problem> {
    let Some(key) = call.request.header("idempotency-key") else { return perform() };
    if !(1..=MAX_KEY).contains(&key.len()) {
        return Err(Problem::bad_request().with_detail(format!("An Idempotency-Key has 1 to {MAX_KEY} bytes.")));
    }
    let fingerprint = fingerprint(call.request);
    if !is_first(call, key, &fingerprint)? {
        return repeated(call, key, &fingerprint);
    }
    let answer = perform().unwrap_or_else(|problem| Answer::problem(&problem, &call.request.id));
    tables::as_owner(|| match is_kept(answer.status) {
        true => {
            let headers = HEADERS.iter().filter_map(|name| answer.header(name).map(|value| json!([name, value])));
            let headers = JsonB(headers.collect());
            let body = answer.repeated_body().to_vec();
            sql::run(END, &[call.key.id.into(), key.into(), answer.status.into(), headers.into(), body.into()]);
        }
        false => sql::run(CANCEL, &[call.key.id.into(), key.into()]),
    });
    Ok(answer)
}

/// Whether a repeated request gets the same answer. Not where something else than the request has to change.
fn is_kept(status: i32) -> bool {
    status < 500 && !matches!(status, 401 | 403 | 429)
}

/// The parts are separated by what none of them contains but the last.
fn fingerprint(request: &Request) -> Vec<u8> {
    let head = format!("{}\n{}\n{}\n", request.method, request.path, request.query);
    Sha256::new().chain_update(head).chain_update(&request.body).finalize().to_vec()
}

fn is_first(call: &Call<'_>, key: &str, fingerprint: &[u8]) -> Result<bool, Problem> {
    let arguments = [call.key.id.into(), key.into(), fingerprint.to_vec().into()];
    let begun = attempt(|| tables::as_owner(|| sql::one::<bool>(BEGIN, &arguments)));
    match begun {
        Ok(first) => Ok(first.is_some()),
        Err(error) if is_timeout(&error) => Err(in_progress()),
        Err(error) => error.rethrow(),
    }
}

fn is_timeout(error: &CaughtError) -> bool {
    !must_end(error) && sqlstate(report(error).sql_error_code()) == "55P03"
}

fn in_progress() -> Problem {
    let mut problem = Problem::conflict().with_detail("A request with this Idempotency-Key is being answered.");
    problem.retry_after = Some(1);
    problem
}

fn repeated(call: &Call<'_>, key: &str, fingerprint: &[u8]) -> Result<Answer, Problem> {
    let find = || {
        sql::all(FIND, &[call.key.id.into(), key.into()], |mut rows| {
            let columns = KeptColumns::of(&rows);
            rows.next().map(|row| Kept {
                fingerprint: row.value(columns.fingerprint),
                status: row.value(columns.status),
                headers: row.value::<JsonB>(columns.headers).0,
                body: row.value(columns.body),
            })
        })
    };
    // It may have been removed in between.
    let kept = tables::as_owner(find).ok_or_else(in_progress)?;
    if kept.fingerprint != fingerprint {
        let detail = "This Idempotency-Key was used for another request.";
        return Err(Problem::invalid().with_detail(detail).with_hint("Choose a new key for each request."));
    }
    let mut answer = Answer::of_bytes(kept.status, kept.body).with_header("idempotency-replayed", "true");
    for name in HEADERS {
        let pairs = kept.headers.as_array().into_iter().flatten();
        let value = pairs.filter(|pair| pair[0] == name).find_map(|pair| pair[1].as_str());
        answer = match value {
            Some(value) => answer.with_header(name, value),
            None => answer,
        };
    }
    Ok(answer)
}
