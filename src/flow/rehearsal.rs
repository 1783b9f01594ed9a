//! Rehearses a flow in testing on an event, as the runner does after the deployed flows have committed: result, tables,
//! webhooks and notices are recorded, and nothing is changed. Sequences go on.

use std::time::{Instant, SystemTime};

use pgrx::Json;
use pgrx::prelude::*;
use serde_json::Value;

use super::found::{self, Flow};
use super::record::{self, Mode, Outcome, Run};
use super::{ends_process, is_cut_off, run, took_too_long};
use crate::backend::subtransaction::attempt;
use crate::backend::{deadline, raised, subtransaction};
use crate::serve::rehearse::{Effects, rehearse};
use crate::store::{Statement, columns};
use crate::tables;

columns!(Columns { flow_id, inbound_event_id, argument, tenant_id, attempts });

/// A rehearsal that the runner did not survive this often is given up.
const ATTEMPTS: i32 = 3;

/// A rehearsal that was begun.
pub struct Begun {
    flow: i64,
    inbound_event: i64,
    argument: Value,
    tenant: Option<String>,
    attempts: i32,
}

/// Counts an attempt of the rehearsal that has waited longest, in a transaction of its own, and returns it.
pub fn begin_next() -> Option<Begun> {
    thread_local! {
        static BEGIN: Statement = const { Statement::new(include_str!("../../sql/queries/begin_rehearsal.sql")) };
    }
    tables::as_owner(|| {
        Spi::connect_mut(|client| {
            BEGIN.with(|begin| {
                let mut rows = begin.write(client, &[]);
                let columns = Columns::of(&rows);
                rows.next().map(|row| Begun {
                    flow: row.value(columns.flow_id),
                    inbound_event: row.value(columns.inbound_event_id),
                    argument: row.value::<Json>(columns.argument).0,
                    tenant: row.maybe(columns.tenant_id),
                    attempts: row.value(columns.attempts),
                })
            })
        })
    })
}

impl Begun {
    /// Rehearses the flow if it is still in testing and wants the event, records what came of it, and ends the entry of the
    /// queue. An error that must end the statement is raised again.
    pub fn run(&self) {
        if let Some(flow) = tables::as_owner(|| found::in_testing(self.flow)) {
            self.rehearse(&flow);
        }
        thread_local! {
            static END: Statement = const { Statement::new(include_str!("../../sql/queries/end_rehearsal.sql")) };
        }
        let key = [self.flow.into(), self.inbound_event.into()];
        tables::as_owner(|| Spi::connect_mut(|client| END.with(|end| end.write(client, &key).count())));
    }

    fn rehearse(&self, flow: &Flow) {
        let (at, since) = (SystemTime::now(), Instant::now());
        let record = |outcome| {
            let (flow, inbound_event) = (flow.id, self.inbound_event);
            record::write(&Run { flow, inbound_event, mode: Mode::Rehearsal, at, took: since.elapsed(), outcome });
        };
        if self.attempts > ATTEMPTS {
            let error = format!("the runner ended {ATTEMPTS} times during this rehearsal: see the server log");
            return record(Outcome::Failed { error: &error, sqlstate: "57P02" });
        }
        match self.effects(flow) {
            Ok(Some((result, effects))) => {
                record(Outcome::Done { result: &result, effects: Some(&effects.into_json()) });
            }
            Ok(None) => {}
            Err((error, sqlstate)) => record(Outcome::Failed { error: &error, sqlstate: &sqlstate }),
        }
    }

    /// Returns result and effects, `None` if the flow does not want the event, or error and SQLSTATE.
    fn effects(&self, flow: &Flow) -> Result<Option<(Value, Effects)>, (String, String)> {
        let entity = || self.argument.get("entity").unwrap_or(&Value::Null).to_string();
        let text = std::cell::OnceCell::new();
        let whole = attempt(|| {
            if !flow.wants(|| text.get_or_init(entity)) {
                return None;
            }
            let call = || run::call(flow, self.tenant.as_deref(), &self.argument);
            Some(deadline::with_deadline(flow.timeout, || rehearse(call)))
        });
        let error = match whole {
            Ok(None) => return Ok(None),
            Ok(Some(Ok(effects))) => return Ok(Some(effects)),
            Ok(Some(Err(error))) | Err(error) => error,
        };
        if ends_process(&error) {
            error.rethrow();
        }
        let message = match is_cut_off(&error) {
            true => took_too_long(&flow.name, flow.timeout),
            false => subtransaction::report(&error).message().to_owned(),
        };
        Err((message, raised::sqlstate(&error)))
    }
}
