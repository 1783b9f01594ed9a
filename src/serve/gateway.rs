//! Answers calls of the gateways themselves: they report that they live and what was used, and learn which keys were
//! revoked. With each report, old answers of the REST API and old approvals are removed.

use pgrx::JsonB;
use serde_json::Value;

use super::answer::Answer;
use super::problem::Problem;
use super::request::Request;
use super::sql;
use crate::tables;

const HEARTBEAT: &str = include_str!("../../sql/queries/record_heartbeat.sql");
const USED: &str = include_str!("../../sql/queries/record_key_use.sql");
const FORGET: &str = include_str!("../../sql/queries/forget_idempotent.sql");
const FORGET_APPROVALS: &str = include_str!("../../sql/queries/forget_approvals.sql");
const STATE: &str = include_str!("../../sql/queries/gateway_state.sql");

/// No gateway has used more keys in five seconds.
const MAX_USED: usize = 10_000;

pub fn answer(request: &Request) -> Result<Answer, Problem> {
    if request.method != "POST" {
        return Err(Problem::method_not_allowed("POST"));
    }
    let mut body = request.json()?;
    if !body.is_object() {
        return Err(Problem::invalid().with_detail("The body is not a JSON object."));
    }
    let used = body["used"].take();
    if used.as_array().is_some_and(|used| used.len() > MAX_USED) {
        return Err(Problem::too_large());
    }
    match request.path.as_str() {
        "/heartbeat" => Ok(Answer::json(200, &tables::as_owner(|| heartbeat(body, used)))),
        "/stop" => {
            tables::as_owner(|| {
                sql::run("DELETE FROM hydra.gateway AS g WHERE g.id = ($1 ->> 'gateway')::uuid", &[JsonB(body).into()])
            });
            Ok(Answer::json(200, &Value::Object(Default::default())))
        }
        _ => Err(Problem::not_found()),
    }
}

fn heartbeat(body: Value, used: Value) -> Value {
    sql::run(HEARTBEAT, &[JsonB(body).into()]);
    if used.as_array().is_some_and(|used| !used.is_empty()) {
        sql::run(USED, &[JsonB(used).into()]);
    }
    // Here, because where there are answers there is a gateway.
    sql::run(FORGET, &[]);
    sql::run(FORGET_APPROVALS, &[]);
    sql::json(STATE, &[])
}
