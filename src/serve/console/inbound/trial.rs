//! Shows what an adapter would do with a request.

use pgrx::JsonB;
use serde_json::{Value, json};
use wire::form::Form;

use super::{model, refusals};
use crate::serve::answer::Answer;
use crate::serve::console::fields::{self, Fields, Refused, error};
use crate::serve::console::visit::Visit;
use crate::serve::problem::Problem;
use crate::serve::sql;

const TRY: &str = include_str!("../../../../sql/queries/console_try_request.sql");

const FIELDS: Fields = &[
    ("the scheme ", "scheme"),
    ("invalid scheme", "scheme"),
    ("invalid headers", "headers"),
    ("refused request ", "refused"),
    ("the body of refused request ", "refused"),
];

/// The visitor sees what the stages say, and nothing that was not asked for.
pub fn answer(visit: &Visit<'_>, id: i64) -> Result<Answer, Problem> {
    visit.require_manager()?;
    let adapter = model(visit, id)?;
    let page = |status: i32, values: Value, errors: Vec<Value>, stages: Value| {
        let form = json!({"values": values, "errors": errors});
        let refused = if visit.may_see_refusals { refusals(id) } else { json!([]) };
        let data = json!({"adapter": adapter, "form": form, "refused": refused, "stages": stages});
        Ok(visit.page(status, "inbound_try", data))
    };
    if visit.request.reads() {
        let query = visit.request.query()?;
        let values =
            json!({"refused": fields::text(&query, "refused"), "headers": "", "body": "", "query": "", "scheme": ""});
        return page(200, values, Vec::new(), Value::Null);
    }
    let form = visit.request.form()?;
    let mut values = json!({"body": form.exact("body").unwrap_or_default()});
    for field in ["refused", "headers", "query", "scheme"] {
        values[field] = json!(fields::text(&form, field));
    }
    let arguments = match arguments(visit, id, &form) {
        Ok(arguments) => arguments,
        Err(errors) => return page(422, values, errors, Value::Null),
    };
    match fields::try_form(FIELDS, || sql::json(TRY, &[JsonB(arguments).into()]))? {
        Ok(stages) => page(200, values, Vec::new(), stages),
        Err(Refused { status, errors }) => page(status, values, errors, Value::Null),
    }
}

fn arguments(visit: &Visit<'_>, id: i64, form: &Form) -> Result<Value, Vec<Value>> {
    let mut errors = fields::check_types(form, &[("scheme", "jsonb")]);
    let headers = headers(form.get("headers").unwrap_or_default()).unwrap_or_else(|line| {
        let message = format!("line {line} needs a name, a colon and a value");
        errors.push(error(Some("headers"), &message, None, None));
        Vec::new()
    });
    let refused =
        form.get("refused").map(|refused| (refused.parse::<i64>().ok()).filter(|refused| is_own(visit, id, *refused)));
    if refused == Some(None) {
        let detail = Some("Only the latest 20 are kept.");
        errors.push(error(Some("refused"), "this request is no longer there", detail, Some("Choose another one.")));
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    let scheme = form.get("scheme").and_then(|text| serde_json::from_str::<Value>(text).ok());
    Ok(json!({
        "id": id, "headers": headers, "body": form.exact("body").unwrap_or_default(), "query": form.get("query"),
        "scheme": scheme, "refused_id": refused.flatten(),
    }))
}

/// Whether the request was made to this adapter.
fn is_own(visit: &Visit<'_>, id: i64, refused: i64) -> bool {
    const FIND: &str = "SELECT true FROM hydra.inbound_refusals AS r WHERE r.adapter_id = $1 AND r.id = $2";
    visit.may_see_refusals && sql::one::<bool>(FIND, &[id.into(), refused.into()]).is_some()
}

/// Reads headers, one in a line. Fails with the number of a line that is none.
fn headers(text: &str) -> Result<Vec<(String, String)>, usize> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let header = |(place, line): (usize, &str)| {
        let (name, value) = line.split_once(':').filter(|(name, _)| !name.trim().is_empty()).ok_or(place + 1)?;
        Ok((name.trim().to_owned(), value.trim().to_owned()))
    };
    lines.map(header).collect()
}
