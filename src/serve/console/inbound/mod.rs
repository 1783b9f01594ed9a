//! Lists and shows inbound adapters, and does what their buttons say.
//!
//! | file | what it does |
//! |---|---|
//! | `form`, `rows` | creates and changes adapters, and reads the rows of their mappings |
//! | `rotation` | replaces URLs and secrets |
//! | `event` | shows one event and what its flows did, and processes it again |
//! | `trial` | shows what an adapter would do with a request |

use serde_json::{Value, json};

use super::flows;
use super::number;
use super::visit::Visit;
use crate::serve::answer::Answer;
use crate::serve::problem::Problem;
use crate::serve::sql;
use crate::tables;

mod event;
mod form;
mod rotation;
mod rows;
mod trial;

const ADAPTERS: &str = include_str!("../../../../sql/queries/console_inbound_adapters.sql");
const SETTINGS: &str = include_str!("../../../../sql/queries/console_inbound_settings.sql");
const HOURS: &str = include_str!("../../../../sql/queries/console_inbound_hours.sql");
const EVENTS: &str = include_str!("../../../../sql/queries/console_inbound_events.sql");
const REFUSALS: &str = include_str!("../../../../sql/queries/console_inbound_refusals.sql");
const PENDING: &str =
    "SELECT pg_catalog.count(*) FROM hydra.inbound_event AS e WHERE e.adapter_id = $1 AND e.due_at IS NOT NULL";

/// Events that are counted for the charts of a page.
const COUNTED: i64 = 20_000;

/// Answers a request whose path begins with `/settings/inbound-adapters`.
pub fn route(visit: &Visit<'_>, path: &[&str], writes: bool) -> Result<Answer, Problem> {
    if !visit.may_see_adapters {
        return Err(Problem::forbidden().with_detail("Your role may not see inbound adapters."));
    }
    match (path, writes) {
        ([], false) => Ok(visit.page(200, "inbound_adapters", json!({"adapters": models(visit, None)}))),
        ([], true) => form::create(visit),
        (["new"], false) => form::blank(visit),
        ([id], false) => show(visit, number(id)?),
        ([id], true) => form::update(visit, number(id)?),
        ([id, "edit"], false) => form::filled(visit, number(id)?),
        ([id, "try"], _) => trial::answer(visit, number(id)?),
        ([id, "rotate-url"], _) => rotation::of_url(visit, number(id)?),
        ([id, "rotate-secret"], _) => rotation::of_secret(visit, number(id)?),
        ([id, "delete"], false) => before_deletion(visit, number(id)?),
        ([id, "events", event], false) => event::show(visit, number(id)?, number(event)?),
        ([id, "events", event, "replay"], true) => event::replay(visit, number(id)?, number(event)?),
        ([id, action], true) => act(visit, number(id)?, action),
        ([_, "pause" | "resume" | "replay"] | [_, "events", _, "replay"], false) => {
            Err(Problem::method_not_allowed("POST"))
        }
        ([_, "events", _], true) => Err(Problem::method_not_allowed("GET")),
        _ => Err(Problem::not_found()),
    }
}

fn show(visit: &Visit<'_>, id: i64) -> Result<Answer, Problem> {
    let adapter = model(visit, id)?;
    let data = json!({
        "adapter": adapter,
        "settings": sql::json(SETTINGS, &[id.into()]),
        "events": if visit.may_see_events { sql::json(EVENTS, &[id.into()]) } else { Value::Null },
        "refused": if visit.may_see_refusals { refusals(id) } else { Value::Null },
        "flows": flows::listening(visit, id),
    });
    Ok(visit.page(200, "inbound_adapter", data))
}

/// Returns the model of an adapter of the visitor's.
fn model(visit: &Visit<'_>, id: i64) -> Result<Value, Problem> {
    visit.require_own_adapter(id)?;
    models(visit, Some(id)).get_mut(0).map(Value::take).ok_or_else(Problem::not_found)
}

fn models(visit: &Visit<'_>, id: Option<i64>) -> Value {
    let mut adapters = sql::json(ADAPTERS, &[visit.tenant().into(), id.into()]);
    let list = adapters.as_array_mut().expect("an array");
    if visit.may_see_events && !list.is_empty() {
        let ids: Vec<i64> = list.iter().filter_map(|adapter| adapter["id"].as_i64()).collect();
        let most = COUNTED / ids.len() as i64;
        let hours = tables::as_owner(|| sql::json(HOURS, &[ids.into(), most.into()]));
        for adapter in list.iter_mut() {
            adapter["hours"] = hours[adapter["id"].to_string()].clone();
        }
    }
    adapters
}

/// Returns the refused requests. A body may have any bytes; those that are no text are replaced.
fn refusals(id: i64) -> Value {
    let mut requests = sql::json(REFUSALS, &[id.into()]);
    for request in requests.as_array_mut().into_iter().flatten() {
        let body = hex::decode(request["body"].as_str().unwrap_or_default()).unwrap_or_default();
        request["body"] = json!(String::from_utf8_lossy(&body));
    }
    requests
}

fn act(visit: &Visit<'_>, id: i64, action: &str) -> Result<Answer, Problem> {
    visit.lock_own_adapter(id)?;
    let back = |done: &str| Ok(Answer::see_other(format!("/settings/inbound-adapters/{id}?done={done}")));
    match action {
        "pause" => {
            sql::run("SELECT hydra.inbound_pause($1)", &[id.into()]);
            back("adapter-paused")
        }
        "resume" => {
            sql::run("SELECT hydra.inbound_resume($1)", &[id.into()]);
            back("adapter-resumed")
        }
        "replay" => {
            sql::run("SELECT hydra.inbound_replay($1)", &[id.into()]);
            back("events-again")
        }
        "delete" => {
            sql::run("SELECT hydra.inbound_delete($1)", &[id.into()]);
            Ok(Answer::see_other("/settings/inbound-adapters?done=adapter-deleted"))
        }
        _ => Err(Problem::not_found()),
    }
}

fn before_deletion(visit: &Visit<'_>, id: i64) -> Result<Answer, Problem> {
    visit.require_manager()?;
    let adapter = model(visit, id)?;
    let pending: Option<i64> = tables::as_owner(|| sql::one(PENDING, &[id.into()]));
    Ok(visit.page(200, "inbound_adapter_delete", json!({"adapter": adapter, "pending": pending})))
}
