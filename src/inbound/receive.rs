//! Answers a request to an adapter.

use std::collections::BTreeMap;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use ::inbound::{Arriving, Denied, Stage, Verdict, payload, verify};
use pgrx::datum::Inet;
use serde_json::{Value, json};
use wire::headers::HOPS;

use super::adapter::{self, Adapter};
use super::count::{self, Counts};
use super::event::{self, Known, Later};
use super::hops;
use super::incoming::{self, Incoming};
use super::mapped::{Mapped, map};
use super::mime;
use super::process::{Outcome, process};
use super::refused;
use crate::flow::Listening;
use crate::serve::answer::Answer;
use crate::serve::problem::Problem;
use crate::serve::request::Request;

/// Answers a request. The headers tell the gateway how many requests the adapter may get.
pub fn answer(request: &Request, peer: Option<Inet>) -> Result<Answer, Problem> {
    let began = Instant::now();
    let adapter = request.credential.as_ref().and_then(adapter::of_url).ok_or_else(Problem::not_found)?;
    let answer = match receive(request, &adapter, peer, began) {
        Ok(answer) => answer,
        Err(problem) => Answer::problem(&problem, &request.id),
    };
    Ok(answer
        .with_header("hydra-adapter", adapter.id.to_string())
        .with_header("hydra-quota", adapter.requests_per_second.to_string()))
}

fn receive(request: &Request, adapter: &Adapter, peer: Option<Inet>, began: Instant) -> Result<Answer, Problem> {
    // A person who opens the URL in a browser. That is no event that was refused.
    if request.method != "POST" && !(request.method == "GET" && adapter.scheme.has_get()) {
        return Err(Problem::method_not_allowed("POST"));
    }
    if adapter.is_paused {
        refused::keep(adapter, request, peer, "paused", "the adapter is paused");
        return Err(Problem::paused());
    }
    let events = match verified(request, adapter) {
        Ok(Verified::Events(events)) => events,
        Ok(Verified::Handshake(answer)) => return Ok(answer),
        Ok(Verified::Message) => return mime::answer(adapter, request, peer),
        Err(Refused { stage, reason, problem }) => {
            refused::keep(adapter, request, peer, &stage, &reason);
            return Err(problem);
        }
    };
    let taken = take_in(adapter, events, hops::stated(request.header(HOPS)), began);
    Ok(taken.answer(adapter))
}

enum Verified {
    Handshake(Answer),
    /// A message of mail, which need be neither JSON nor UTF-8.
    Message,
    Events(Vec<Incoming>),
}

struct Refused {
    stage: String,
    reason: String,
    problem: Problem,
}

impl From<Denied> for Refused {
    fn from(denied: Denied) -> Self {
        let reason = match &denied.detail {
            Some(detail) => format!("{}: {detail}", denied.reason),
            None => denied.reason,
        };
        // What comes after the signature says nothing to a stranger.
        let problem = if denied.stage == Stage::Body { Problem::invalid() } else { Problem::unauthenticated() };
        Self { stage: denied.stage.to_string(), reason, problem }
    }
}

/// Verifies a request, over the bytes that came.
fn verified(request: &Request, adapter: &Adapter) -> Result<Verified, Refused> {
    let sealed =
        |reason: &str| Refused { stage: "secret".into(), reason: reason.into(), problem: Problem::unavailable() };
    let credentials = adapter.credentials().map_err(sealed)?;
    let url = match request.query.is_empty() {
        true => credentials.url,
        false => format!("{}?{}", credentials.url, request.query),
    };
    let arriving = Arriving {
        method: &request.method,
        url: &url,
        headers: &request.headers,
        query: &request.query,
        body: &request.body,
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as i64;
    let mut accepted = match verify(&adapter.scheme, &credentials.secrets, &arriving, now)? {
        Verdict::Handshake(reply) => {
            return Ok(Verified::Handshake(Answer::text(reply.status.into(), reply.content_type, reply.body)));
        }
        Verdict::Accepted(accepted) => accepted,
    };
    if adapter.provider == mime::PROVIDER {
        return Ok(Verified::Message);
    }
    let value = accepted.payload.take().map_or_else(|| payload(&arriving), Ok)?;
    let unreadable = |reason| Refused { stage: "body".into(), reason, problem: Problem::invalid() };
    incoming::events(adapter, accepted, value, &request.body).map(Verified::Events).map_err(unreadable)
}

/// What became of an event of a request.
struct Fate {
    id: i64,
    state: &'static str,
    is_duplicate: bool,
}

struct Taken {
    fates: Vec<Fate>,
    counts: Counts,
}

/// An event that is to be processed.
struct Open {
    place: usize,
    incoming: Incoming,
    mapped: Mapped,
    listening: Listening,
    known: Known,
    /// What its row says already.
    recorded: Recorded,
}

enum Recorded {
    Done,
    Unmatched {
        reason: String,
    },
    /// What became of it when it came before.
    Earlier,
}

/// Takes the events of a request in.
///
/// First all of them are inserted, in the order of their ids, and then those that came before are locked, in the same
/// order. So two requests with the same events never wait for each other in a circle.
fn take_in(adapter: &Adapter, events: Vec<Incoming>, hops: i16, began: Instant) -> Taken {
    let mut counts = Counts::default();
    let mut fates: BTreeMap<usize, Fate> = BTreeMap::new();
    let (mut open, mut again) = (Vec::new(), Vec::new());
    for (place, incoming) in in_order(events) {
        let mapped = if hops >= hops::MOST { Err(hops::reason(hops)) } else { map(adapter, &incoming) };
        let mapped = mapped.map(|mapped| (mapped.listening(), mapped));
        let unmatched = match &mapped {
            Ok((listening, mapped)) => listening.why_unmatched(&mapped.event_type),
            Err(reason) => Some(reason.clone()),
        };
        let ours = mapped.as_ref().ok().map(|(_, mapped)| mapped);
        let Some(known) = event::insert(adapter.id, &incoming, ours, unmatched.as_deref(), hops) else {
            again.push((place, incoming, mapped));
            continue;
        };
        counts.received += 1;
        match mapped {
            Err(_) => {
                counts.unmatched += 1;
                fates.insert(place, Fate { id: known.id, state: "unmatched", is_duplicate: false });
            }
            Ok((listening, mapped)) => {
                let recorded = unmatched.map_or(Recorded::Done, |reason| Recorded::Unmatched { reason });
                open.push(Open { place, incoming, mapped, listening, known, recorded });
            }
        }
    }
    for (place, incoming, mapped) in again {
        let id = incoming.external_id.as_deref().expect("only an event with an id can come again");
        // It may have been removed since, with what is too old.
        let Some(known) = event::meet(adapter.id, id) else { continue };
        counts.duplicates += 1;
        let is_unfinished = matches!(known.state.as_str(), "received" | "failed");
        match mapped {
            Ok((listening, mapped)) if is_unfinished => {
                open.push(Open { place, incoming, mapped, listening, known, recorded: Recorded::Earlier });
            }
            mapped => {
                let mut state = if known.state == "done" { "done" } else { "unmatched" };
                if let (true, Err(reason)) = (is_unfinished, mapped) {
                    event::finish(&known, None, &Outcome::Unmatched { reason }, Later::ByRunner);
                    counts.unmatched += 1;
                    state = "unmatched";
                }
                fates.insert(place, Fate { id: known.id, state, is_duplicate: true });
            }
        }
    }
    open.sort_by_key(|open| open.place);
    let deadline = began + adapter.budget;
    for one in open {
        let state = settle(adapter, &one, hops, deadline, &mut counts);
        let is_duplicate = matches!(one.recorded, Recorded::Earlier);
        fates.insert(one.place, Fate { id: one.known.id, state, is_duplicate });
    }
    count::add(adapter.id, counts);
    Taken { fates: fates.into_values().collect(), counts }
}

/// Returns the events with their places in the request, in the order of their ids, and each id once.
fn in_order(events: Vec<Incoming>) -> Vec<(usize, Incoming)> {
    let mut events: Vec<_> = events.into_iter().enumerate().collect();
    events.sort_by(|(_, one), (_, other)| one.external_id.cmp(&other.external_id));
    events.dedup_by(|(_, later), (_, first)| later.external_id.is_some() && later.external_id == first.external_id);
    events
}

/// Processes an event, and records what became of it unless its row says so.
fn settle(adapter: &Adapter, open: &Open, hops: i16, deadline: Instant, counts: &mut Counts) -> &'static str {
    let Open { incoming, mapped, listening, known, recorded, .. } = open;
    let later = if adapter.scheme.retries { Later::ByProvider } else { Later::ByRunner };
    let outcome = process(adapter, incoming, mapped, listening, known, hops, deadline);
    if !recorded.says(&outcome) {
        event::finish(known, Some(mapped), &outcome, later);
    }
    match outcome {
        Outcome::Done => {
            counts.matched += 1;
            "done"
        }
        Outcome::Unmatched { .. } => {
            counts.unmatched += 1;
            "unmatched"
        }
        Outcome::Late => "received",
        Outcome::Failed { .. } => "failed",
    }
}

impl Recorded {
    fn says(&self, outcome: &Outcome) -> bool {
        match (self, outcome) {
            (Self::Done, Outcome::Done) => true,
            (Self::Unmatched { reason: recorded }, Outcome::Unmatched { reason }) => recorded == reason,
            _ => false,
        }
    }
}

impl Taken {
    fn answer(&self, adapter: &Adapter) -> Answer {
        let has = |state| self.fates.iter().any(|fate| fate.state == state);
        let status = match (has("failed"), has("received")) {
            (true, _) if adapter.scheme.retries => 500,
            (false, false) => 200,
            _ => 202,
        };
        if let Some(response) = adapter.response.as_ref().filter(|_| status < 300) {
            return own_answer(response, status);
        }
        let event = |fate: &Fate| match fate.is_duplicate {
            true => json!({"id": fate.id, "state": fate.state, "duplicate": true}),
            false => json!({"id": fate.id, "state": fate.state}),
        };
        let events: Vec<Value> = self.fates.iter().map(event).collect();
        Answer::json(status, &json!({"received": self.counts.received, "events": events}))
    }
}

/// Returns the answer that the adapter has of its own.
fn own_answer(response: &Value, status: i32) -> Answer {
    let text = |key: &str| response[key].as_str().unwrap_or_default().to_owned();
    let status = response["status"].as_i64().and_then(|status| i32::try_from(status).ok()).unwrap_or(status);
    let kind = Some(text("content_type")).filter(|kind| !kind.is_empty());
    Answer::text(status, kind.as_deref().unwrap_or("text/plain; charset=utf-8"), text("body"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_taken_in_the_order_of_their_ids_and_each_id_once() {
        let event = |id: Option<&str>| Incoming::new(id.map(str::to_owned), None, "1".into(), json!(1));
        let places = |ids: &[Option<&str>]| -> Vec<usize> {
            in_order(ids.iter().copied().map(event).collect()).into_iter().map(|(place, _)| place).collect()
        };
        assert_eq!(places(&[Some("b"), Some("a"), Some("b"), None, None]), [3, 4, 1, 0]);
    }
}
