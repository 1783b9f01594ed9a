//! Confirms what was shown: runs the tool again, as its key, and keeps what it does if it is the same.

use std::cell::Cell;

use super::comparison::Document;
use super::preview::{Preview, preview};
use super::stored::{Kept, Stored, Token};
use crate::backend::deadline;
use crate::backend::fixed_settings::with_fixed_settings;
use crate::backend::subtransaction::must_end;
use crate::serve::identity;
use crate::serve::mcp::{self, Found};
use crate::serve::problem::Problem;
use crate::serve::rehearse;
use crate::serve::request::Request;
use crate::serve::rest::{Call, require};

/// What a confirmation has done.
pub enum Confirmed {
    /// It was written as it was shown, with this result: JSON.
    Done(String),
    /// Nothing was written: it would be something else now, which waits again.
    Changed(Box<Preview>, Kept, Option<Token>),
    /// Nothing was written, and nothing will be.
    Failed(String),
}

/// Why nobody can decide any more; `None`: somebody can.
pub fn why_not(stored: &Stored) -> Option<&'static str> {
    match stored.state.as_str() {
        "pending" => None,
        "done" => Some("It was confirmed already. It was not done a second time."),
        "refused" => Some("It was refused already."),
        "failed" => Some("It was confirmed already, and failed."),
        _ => Some("It has expired. Nothing was written."),
    }
}

/// Confirms an approval that waits and is locked. The error says why it cannot be confirmed, although it goes on waiting.
pub fn confirm(stored: &Stored, by: &str) -> Result<Confirmed, String> {
    let key = identity::api_key_of_id(stored.key_id)
        .ok_or("The API key was revoked or has expired, or its role may not be used any more.")?;
    let request = Request::of_api("POST", "/mcp".into(), String::new(), "", &format!("approval-{}", stored.id));
    let call = Call { request: &request, key: &key };
    let found = key.act(|| mcp::find(&call, &stored.tool)).filter(|found| found.does.writes());
    let found = found.filter(|_| require(&call, "mcp").is_ok());
    let found = found.ok_or("The tool does not exist any more, or the API key has lost the scope for it.")?;
    Ok(match run(&call, &found, stored) {
        Ok(Some(result)) => {
            stored.end("done", by, Some(&result), None);
            Confirmed::Done(result)
        }
        Ok(None) => match preview(&call, &found, &stored.arguments) {
            Ok(preview) => {
                let (kept, token) = stored.renew(&preview);
                Confirmed::Changed(Box::new(preview), kept, token)
            }
            Err(why) => failed(stored, by, why),
        },
        Err(why) => failed(stored, by, why),
    })
}

fn failed(stored: &Stored, by: &str, why: String) -> Confirmed {
    stored.end("failed", by, None, Some(&why));
    Confirmed::Failed(why)
}

/// Runs the tool, and returns its result if it has done what was shown. Otherwise nothing of it stays.
fn run(call: &Call<'_>, found: &Found, stored: &Stored) -> Result<Option<String>, String> {
    let is_same = Cell::new(false);
    let ran = call.key.act(|| {
        with_fixed_settings(|| {
            rehearse::run(
                || mcp::perform(call, found, &stored.arguments),
                |done, effects| {
                    let digest = done.as_ref().ok().map(|done| Document::of(done, effects).digest(&stored.varying));
                    is_same.set(digest.as_ref() == Some(&stored.digest));
                    is_same.get()
                },
            )
        })
    });
    match ran {
        Ok((done, _)) => done.map(|done| is_same.get().then_some(done.result)),
        Err(error) if must_end(&error) || deadline::is_over() => error.rethrow(),
        Err(error) => Err(mcp::explained(&Problem::of(&error, found.does.texts()))),
    }
}
