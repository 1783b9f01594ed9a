//! Processes an event later: when the request took too long, a flow failed, or the event is to be replayed.

use std::time::{Duration, Instant};

use super::adapter;
use super::count::{self, Counts};
use super::event::{self, Later};
use super::hops;
use super::mapped::map;
use super::process::{Outcome, process};

/// Each flow has a limit of its own. This is for all flows of an event.
const LIMIT: Duration = Duration::from_secs(600);

/// Processes an inbound event that the runner has claimed, in the caller's transaction. It is mapped anew, because a mapping may
/// have been corrected. Returns false if it is not due any more, or a request has it.
pub fn run_again(inbound_event: i64) -> bool {
    let Some(due) = event::due(inbound_event) else { return false };
    let Some(adapter) = adapter::of_id(due.adapter) else {
        let reason = "the adapter was deleted".to_owned();
        event::finish(&due.known, None, &Outcome::Unmatched { reason }, Later::ByRunner);
        return true;
    };
    let mapped = if due.hops >= hops::MOST { Err(hops::reason(due.hops)) } else { map(&adapter, &due.incoming) };
    let outcome = match &mapped {
        Err(reason) => Outcome::Unmatched { reason: reason.clone() },
        Ok(mapped) => {
            let listening = mapped.listening();
            let end = Instant::now() + LIMIT;
            match process(&adapter, &due.incoming, mapped, &listening, &due.known, due.hops, end) {
                Outcome::Late => Outcome::Failed {
                    error: format!("its flows did not end within {} minutes", LIMIT.as_secs() / 60),
                    sqlstate: "57014".into(),
                },
                outcome => outcome,
            }
        }
    };
    event::finish(&due.known, mapped.as_ref().ok(), &outcome, Later::ByRunner);
    let (matched, unmatched) = match outcome {
        Outcome::Done => (1, 0),
        Outcome::Unmatched { .. } => (0, 1),
        _ => (0, 0),
    };
    count::add(due.adapter, Counts { matched, unmatched, ..Counts::default() });
    true
}
