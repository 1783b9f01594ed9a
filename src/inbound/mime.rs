//! Answers a request to an adapter whose requests are messages of mail, as they came.

use pgrx::datum::Inet;
use serde_json::json;

use super::adapter::Adapter;
use super::count::{self, Counts};
use super::refused;
use crate::mail::{self, Fate};
use crate::serve::answer::Answer;
use crate::serve::problem::Problem;
use crate::serve::request::Request;

/// The provider whose requests are messages of mail.
pub const PROVIDER: &str = "mime";

/// Hands a message of mail over to the channel of the adapter. It is sent again if the function of the channel fails.
pub fn answer(adapter: &Adapter, request: &Request, peer: Option<Inet>) -> Result<Answer, Problem> {
    let fate = mail::receive(adapter.id, &request.body)
        .ok_or_else(|| Problem::paused().with_detail("No mail channel that is active names this adapter."))?;
    let (counts, answer) = match fate {
        Fate::Taken { id, state: "duplicate" } => {
            (Counts { duplicates: 1, ..Counts::default() }, Ok(json!({"id": id, "state": "done", "duplicate": true})))
        }
        Fate::Taken { id, state } => {
            (Counts { received: 1, matched: 1, ..Counts::default() }, Ok(json!({"id": id, "state": state})))
        }
        Fate::Failed { .. } => {
            (Counts::default(), Err(Problem::unavailable().with_detail("The function of the channel has failed.")))
        }
        Fate::Unreadable { why } => {
            refused::keep(adapter, request, peer, "body", &why);
            return Err(Problem::invalid().with_detail(why));
        }
    };
    count::add(adapter.id, counts);
    answer.map(|event| Answer::json(200, &json!({"received": 1, "events": [event]})))
}
