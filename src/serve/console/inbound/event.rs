//! Shows one event and what its flows did, and processes it again.

use serde_json::json;

use super::{flows, model};
use crate::serve::answer::Answer;
use crate::serve::console::visit::Visit;
use crate::serve::problem::Problem;
use crate::serve::sql;

const EVENT: &str = include_str!("../../../../sql/queries/console_inbound_event.sql");

pub fn show(visit: &Visit<'_>, id: i64, event: i64) -> Result<Answer, Problem> {
    if !visit.may_see_events {
        return Err(Problem::forbidden().with_detail("Your role may not see events that came in."));
    }
    let adapter = model(visit, id)?;
    let found = sql::json(EVENT, &[id.into(), event.into()]);
    if found.is_null() {
        return Err(Problem::not_found());
    }
    let runs = flows::runs(visit, None, Some(event));
    Ok(visit.page(200, "inbound_event", json!({"adapter": adapter, "event": found, "runs": runs})))
}

pub fn replay(visit: &Visit<'_>, id: i64, event: i64) -> Result<Answer, Problem> {
    const FIND: &str = "SELECT true FROM hydra.inbound_events AS e WHERE e.adapter_id = $1 AND e.id = $2";
    const REPLAY: &str = "SELECT hydra.inbound_replay(e.adapter_id, e.received_at, e.received_at + interval '1 us')
                          FROM hydra.inbound_events AS e WHERE e.adapter_id = $1 AND e.id = $2";
    visit.lock_own_adapter(id)?;
    let args = [id.into(), event.into()];
    sql::one::<bool>(FIND, &args).ok_or_else(Problem::not_found)?;
    sql::run(REPLAY, &args);
    Ok(Answer::see_other(format!("/settings/inbound-adapters/{id}/events/{event}?done=event-again")))
}
