//! Processes one event: runs the flows that match, and emits it to our own subscriptions. Both take effect or neither.

use std::time::{Instant, SystemTime};

use humantime::format_rfc3339_micros;

use super::adapter::Adapter;
use super::event::Known;
use super::hops::with_hops;
use super::incoming::Incoming;
use super::mapped::Mapped;
use crate::backend::subtransaction::attempt;
use crate::emit;
use crate::flow::{self, Listening, Ran, Undone};

#[derive(Debug)]
pub enum Outcome {
    Done,
    /// No flow has run.
    Unmatched {
        reason: String,
    },
    /// There was not enough time. Nothing has happened.
    Late,
    /// A flow has failed. Nothing has happened.
    Failed {
        error: String,
        sqlstate: String,
    },
}

/// Processes an event in a subtransaction. The caller records the outcome.
pub fn process(
    adapter: &Adapter,
    incoming: &Incoming,
    mapped: &Mapped,
    listening: &Listening,
    known: &Known,
    hops: i16,
    deadline: Instant,
) -> Outcome {
    if Instant::now() >= deadline {
        return Outcome::Late;
    }
    let argument = mapped.argument(adapter, incoming, &written(known.received_at));
    let ours = flow::Mapped {
        inbound_event: known.id,
        event_type: &mapped.event_type,
        tenant: mapped.tenant.as_deref(),
        argument: &argument,
    };
    let attempted = attempt(|| {
        with_hops(hops, || {
            let ran = flow::run_deployed(listening, &ours, deadline);
            if !known.emitted {
                let (id, tenant) = (mapped.entity_id.as_deref(), mapped.tenant.as_deref());
                emit::emit_inbound(&mapped.event_type, &mapped.entity, id, tenant);
            }
            ran
        })
    });
    match attempted {
        Ok(Ran::Done { .. }) => Outcome::Done,
        Ok(Ran::Unmatched { reason }) => Outcome::Unmatched { reason },
        Err(error) => match flow::undone(&ours, &error) {
            Undone::MustEnd => error.rethrow(),
            Undone::Late => Outcome::Late,
            Undone::Failed { error, sqlstate } => Outcome::Failed { error: shortened(error), sqlstate },
        },
    }
}

fn written(time: SystemTime) -> String {
    format_rfc3339_micros(time).to_string()
}

/// The message of an error can have any length.
fn shortened(mut error: String) -> String {
    error.truncate(error.floor_char_boundary(2000));
    if error.is_empty() { "an error without a message".into() } else { error }
}
