//! Flows: functions of the application that run when a mapped event arrives.
//!
//! A *deployed* flow runs in the transaction that takes the event in, as the owner of its function, in the tenant of the
//! event and within its time limit. Its effects, those of all other flows of the event and the event that is emitted are
//! committed together or not at all. A flow in *testing* is rehearsed by the runner after that commit. A *paused* flow
//! does neither.
//!
//! An error of a flow is raised as it is: only a rollback of the subtransaction can end it. So the caller undoes, and then
//! asks [`undone`] what the error means, which also records the failed run.
//!
//! The owner of the function is checked at each run: it must be the one that it was when the flow was made or deployed, and
//! have no privilege that no request may have. A filter that fails or does not end fails the event, because a flow that
//! runs for an event that is not meant for it may do harm, and an event that is skipped is lost.
//!
//! | file | what it does |
//! |---|---|
//! | `found` | finds the flows that listen to an event type |
//! | `run` | runs one flow as its owner, within its time limit, and leaves nothing of it in the session |
//! | `rehearsal` | rehearses a flow in testing |
//! | `record` | writes runs, with results and effects of a bounded size |
//! | `functions` | has the SQL functions that need the role of their caller |

mod found;
pub mod functions;
mod record;
pub mod rehearsal;
mod run;

use std::cell::{OnceCell, RefCell};
use std::time::{Duration, Instant, SystemTime};

use pgrx::Json;
use pgrx::pg_sys::panic::CaughtError;
use pgrx::prelude::*;
use serde_json::Value;

use crate::backend::subtransaction::must_end;
use crate::backend::{deadline, raised, signals, subtransaction};
use crate::store::Statement;
use crate::{runner, tables};
use found::{Flow, State};
use record::{Mode, Outcome, Run};

/// An inbound event that is mapped to an event type.
pub struct Mapped<'a> {
    pub inbound_event: i64,
    pub event_type: &'a str,
    pub tenant: Option<&'a str>,
    /// What a flow gets. Its key `entity` is what filters see.
    pub argument: &'a Value,
}

#[derive(Debug, PartialEq, Eq)]
pub enum Ran {
    Done {
        flows: usize,
    },
    /// No deployed flow has run. The reason is for people.
    Unmatched {
        reason: String,
    },
}

/// What the error means that ended [`run_deployed`], or what the caller did beside it.
#[derive(Debug)]
pub enum Undone {
    /// The process is being ended, or the statement was cancelled while no flow ran: raise the error again.
    MustEnd,
    /// The deadline has passed: the event is not failed, and is to be processed later.
    Late,
    /// The event has failed.
    Failed { error: String, sqlstate: String },
}

/// The flow that is running, or that has just failed.
struct Running {
    flow: i64,
    name: String,
    timeout: Duration,
    /// How long it may run: until its time limit or until the deadline.
    limit: Duration,
    at: SystemTime,
    since: Instant,
}

thread_local! {
    static RUNNING: RefCell<Option<Running>> = const { RefCell::new(None) };
    static QUEUE: Statement = const { Statement::new(include_str!("../../sql/queries/queue_rehearsal.sql")) };
}

/// The flows that listen to an event type, those for other tenants as well.
pub struct Listening(Vec<Flow>);

impl Listening {
    pub fn to(event_type: &str, tenant: Option<&str>) -> Self {
        Self(tables::as_owner(|| found::listening(event_type, tenant)))
    }

    /// Returns why none of them will run, if that is known without their filters.
    pub fn why_unmatched(&self, event_type: &str) -> Option<String> {
        let reasons: Option<Vec<String>> = self.0.iter().map(why_not).collect();
        reasons.map(|reasons| unmatched(event_type, &reasons))
    }
}

/// Runs all deployed flows that match, in the subtransaction of the caller, and records the runs. Queues rehearsals of flows
/// in testing. Everything takes effect only if the caller commits. A flow that runs at the deadline is cancelled. An error is
/// raised as it is.
pub fn run_deployed(listening: &Listening, mapped: &Mapped<'_>, deadline: Instant) -> Ran {
    RUNNING.take();
    let Listening(found) = listening;
    let entity: OnceCell<String> = OnceCell::new();
    let mut reasons = Vec::new();
    let mut flows = 0;
    for flow in found {
        let why_not = why_not(flow).or_else(|| {
            start(flow, deadline);
            let text = || mapped.argument.get("entity").unwrap_or(&Value::Null).to_string();
            let wants = flow.wants(|| entity.get_or_init(text));
            (!wants).then(|| format!("the filter of flow {} does not match", flow.name))
        });
        match why_not {
            Some(reason) => reasons.push(reason),
            None => {
                run_one(flow, mapped);
                flows += 1;
            }
        }
    }
    RUNNING.take();
    queue_rehearsals(found.iter().filter(|flow| flow.state == State::Testing && flow.is_for_tenant), mapped);
    match flows {
        0 => Ran::Unmatched { reason: unmatched(mapped.event_type, &reasons) },
        flows => Ran::Done { flows },
    }
}

/// Returns why no flow has run.
fn unmatched(event_type: &str, reasons: &[String]) -> String {
    match reasons {
        [] => format!("no flow listens to {event_type}"),
        reasons => record::short(&reasons.join("; ")),
    }
}

/// Returns why a flow does not run, whatever its filter says.
fn why_not(flow: &Flow) -> Option<String> {
    let name = &flow.name;
    match flow.state {
        _ if !flow.is_for_tenant => Some(format!("flow {name} is of another tenant")),
        State::Testing => Some(format!("flow {name} is only in testing")),
        State::Paused => Some(format!("flow {name} is paused")),
        State::Deployed => None,
    }
}

/// Notes that a flow runs from now on, so that [`undone`] knows which one failed.
fn start(flow: &Flow, deadline: Instant) {
    let since = Instant::now();
    let limit = flow.timeout.min(deadline.saturating_duration_since(since));
    let (name, timeout, at) = (flow.name.clone(), flow.timeout, SystemTime::now());
    RUNNING.set(Some(Running { flow: flow.id, name, timeout, limit, at, since }));
}

/// Runs the flow that was started.
fn run_one(flow: &Flow, mapped: &Mapped<'_>) {
    let limit = RUNNING.with_borrow(|running| running.as_ref().map_or(flow.timeout, |running| running.limit));
    let result = deadline::with_deadline(limit, || run::call(flow, mapped.tenant, mapped.argument));
    let running = RUNNING.take().expect("the flow was started");
    record::write(&Run {
        flow: flow.id,
        inbound_event: mapped.inbound_event,
        mode: Mode::Deployed,
        at: running.at,
        took: running.since.elapsed(),
        outcome: Outcome::Done { result: &result, effects: None },
    });
}

fn queue_rehearsals<'a>(flows: impl Iterator<Item = &'a Flow>, mapped: &Mapped<'_>) {
    for flow in flows {
        let argument = Json(mapped.argument.clone());
        let row = [flow.id.into(), mapped.inbound_event.into(), argument.into(), mapped.tenant.into()];
        tables::as_owner(|| Spi::connect_mut(|client| QUEUE.with(|queue| queue.write(client, &row).count())));
        runner::at_commit(SystemTime::UNIX_EPOCH);
    }
}

/// Returns what an error of the undone subtransaction means. Records the failed run if a flow has failed. To be called after
/// the rollback of the subtransaction.
pub fn undone(mapped: &Mapped<'_>, error: &CaughtError) -> Undone {
    let running = RUNNING.take();
    if must_end(error) && (running.is_none() || ends_process(error)) {
        return Undone::MustEnd;
    }
    let sqlstate = raised::sqlstate(error);
    let mut error_text = record::short(subtransaction::report(error).message());
    if let Some(running) = running.as_ref().filter(|_| is_cut_off(error)) {
        if running.limit < running.timeout {
            return Undone::Late;
        }
        error_text = took_too_long(&running.name, running.timeout);
    }
    if let Some(running) = running {
        record::write(&Run {
            flow: running.flow,
            inbound_event: mapped.inbound_event,
            mode: Mode::Deployed,
            at: running.at,
            took: running.since.elapsed(),
            outcome: Outcome::Failed { error: &error_text, sqlstate: &sqlstate },
        });
    }
    Undone::Failed { error: error_text, sqlstate }
}

/// Whether an error that a flow has ended with must end the process, or the transaction of a worker that is to end. Other
/// errors that must end a statement can be raised by the flow itself; and if somebody cancels it, it has failed.
fn ends_process(error: &CaughtError) -> bool {
    matches!(error, CaughtError::RustPanic { .. }) || signals::stop_was_requested()
}

/// Whether a flow was cancelled because its time was over.
fn is_cut_off(error: &CaughtError) -> bool {
    subtransaction::report(error).sql_error_code() == PgSqlErrorCode::ERRCODE_QUERY_CANCELED && deadline::is_over()
}

fn took_too_long(flow: &str, timeout: Duration) -> String {
    format!("flow {flow} took longer than {} s", timeout.as_secs_f64())
}
