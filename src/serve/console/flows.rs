//! Lists and shows flows and their runs, and does what their buttons say. To create one is left to SQL: it needs a function.

use serde_json::{Value, json};

use super::number;
use super::visit::Visit;
use crate::serve::answer::Answer;
use crate::serve::problem::Problem;
use crate::serve::sql;
use crate::tables;

const FLOWS: &str = include_str!("../../../sql/queries/console_flows.sql");
const RUNS: &str = include_str!("../../../sql/queries/console_flow_runs.sql");
const LISTENING: &str = include_str!("../../../sql/queries/console_inbound_flows.sql");

/// Answers a request whose path begins with `/settings/flows`.
pub fn route(visit: &Visit<'_>, path: &[&str], writes: bool) -> Result<Answer, Problem> {
    if !visit.may_see_flows {
        return Err(Problem::forbidden().with_detail("Your role may not see flows."));
    }
    match (path, writes) {
        ([], false) => Ok(visit.page(200, "flows", json!({"flows": models(visit, None)}))),
        ([id], false) => show(visit, number(id)?),
        ([id, "delete"], false) => before_deletion(visit, number(id)?),
        ([id, action], true) => act(visit, number(id)?, action),
        ([] | [_], true) => Err(Problem::method_not_allowed("GET")),
        ([_, "deploy" | "test" | "pause"], false) => Err(Problem::method_not_allowed("POST")),
        _ => Err(Problem::not_found()),
    }
}

fn show(visit: &Visit<'_>, id: i64) -> Result<Answer, Problem> {
    let flow = model(visit, id)?;
    Ok(visit.page(200, "flow", json!({"flow": flow, "runs": runs(visit, Some(id), None)})))
}

fn before_deletion(visit: &Visit<'_>, id: i64) -> Result<Answer, Problem> {
    visit.require_manager()?;
    Ok(visit.page(200, "flow_delete", json!({"flow": model(visit, id)?})))
}

fn models(visit: &Visit<'_>, id: Option<i64>) -> Value {
    sql::json(FLOWS, &[visit.tenant().into(), id.into()])
}

fn model(visit: &Visit<'_>, id: i64) -> Result<Value, Problem> {
    models(visit, Some(id)).get_mut(0).map(Value::take).ok_or_else(Problem::not_found)
}

/// Returns the flows that listen to an event of the mapping of an adapter.
pub fn listening(visit: &Visit<'_>, adapter: i64) -> Value {
    match visit.may_see_flows {
        true => tables::as_owner(|| sql::json(LISTENING, &[adapter.into(), visit.tenant().into()])),
        false => json!([]),
    }
}

/// Returns the latest runs of a flow or, without one, of an event.
pub fn runs(visit: &Visit<'_>, flow: Option<i64>, event: Option<i64>) -> Value {
    if !visit.may_see_flows || !visit.may_see_events {
        return json!([]);
    }
    let mut runs = sql::json(RUNS, &[flow.into(), event.into(), visit.tenant().into()]);
    if let Some(tenant) = visit.tenant() {
        show_own_webhooks_only(&mut runs, tenant);
    }
    runs
}

/// A visitor with a tenant sees only requests to webhooks of that tenant.
fn show_own_webhooks_only(runs: &mut Value, tenant: &str) {
    const OWN: &str = "SELECT s.id FROM hydra.subscription AS s WHERE s.tenant_id = $1";
    let own: Vec<i64> =
        tables::as_owner(|| sql::rows(OWN, &[tenant.into()], |row| row.first())).into_iter().flatten().collect();
    for run in runs.as_array_mut().into_iter().flatten() {
        if let Some(webhooks) = run["effects"]["webhooks"].as_array_mut() {
            webhooks.retain(|webhook| webhook["subscription_id"].as_i64().is_some_and(|id| own.contains(&id)));
        }
    }
}

fn act(visit: &Visit<'_>, id: i64, action: &str) -> Result<Answer, Problem> {
    visit.lock_own_flow(id)?;
    let (call, done) = match action {
        "deploy" => ("SELECT hydra.flow_deploy($1)", "deployed"),
        "test" => ("SELECT hydra.flow_test($1)", "in-testing"),
        "pause" => ("SELECT hydra.flow_pause($1)", "flow-paused"),
        "delete" => ("SELECT hydra.flow_delete($1)", "flow-deleted"),
        _ => return Err(Problem::not_found()),
    };
    sql::run(call, &[id.into()]);
    // The button may be on the page of an adapter.
    let query = visit.request.query()?;
    let back = match query.get("adapter").and_then(|adapter| number(adapter).ok()) {
        Some(adapter) => format!("/settings/inbound-adapters/{adapter}"),
        None if action == "delete" => "/settings/flows".into(),
        None => format!("/settings/flows/{id}"),
    };
    Ok(Answer::see_other(format!("{back}?done={done}")))
}
