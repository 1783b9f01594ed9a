//! Creates and changes webhooks.

use pgrx::JsonB;
use serde_json::{Map, Value, json};
use wire::form::Form;

use super::fields::{self, Refused, error};
use super::visit::Visit;
use super::webhooks::model;
use crate::serve::answer::Answer;
use crate::serve::problem::Problem;
use crate::serve::{refused, sql};
use crate::tables;

const CREATE: &str = include_str!("../../../sql/queries/create_webhook.sql");
const UPDATE: &str = include_str!("../../../sql/queries/update_webhook.sql");
const VALUES: &str = include_str!("../../../sql/queries/console_webhook_values.sql");
const CHOICES: &str = include_str!("../../../sql/queries/console_webhook_choices.sql");

const TYPES: &[(&str, &str)] = &[
    ("timeout", "interval"),
    ("filter", "jsonpath"),
    ("max_in_flight", "integer"),
    ("rate_limit", "integer"),
    ("disable_after", "integer"),
    ("disable_after_time", "interval"),
    ("keep_bodies", "interval"),
];

/// The settings that are removed if their fields are empty: that of the preset or none then applies. An empty tenant stays as it is, so
/// that nobody sends the events of all tenants unawares.
const REMOVABLE: &[&str] = &[
    "name",
    "signatures",
    "timeout",
    "retry_schedule",
    "filter",
    "max_in_flight",
    "rate_limit",
    "disable_after",
    "disable_after_time",
    "keep_bodies",
];

/// The text for a retry schedule without a delay. An empty text is that of the preset.
const NO_RETRIES: &str = "none";

/// What a text is that was sent for headers.
enum Headers {
    Unchanged,
    These(Value),
    Wrong(String),
}

pub fn blank(visit: &Visit<'_>) -> Result<Answer, Problem> {
    visit.require_manager()?;
    let values = json!({"name": "", "url": "", "event_types": [], "tenant_id": visit.tenant().unwrap_or_default(),
        "preset": "hydra", "signatures": [], "headers": "", "timeout": "", "retry_schedule": "", "filter": "",
        "max_in_flight": "", "rate_limit": "", "disable_after": "", "disable_after_time": "", "keep_bodies": "", "log_successes": false});
    Ok(page(visit, 200, Value::Null, json!({"values": values, "errors": [], "once": fields::new_once()})))
}

pub fn filled(visit: &Visit<'_>, id: i64) -> Result<Answer, Problem> {
    visit.require_manager()?;
    let webhook = model(visit, id)?;
    let mut form = tables::as_owner(|| sql::json(VALUES, &[id.into()]));
    form["errors"] = json!([]);
    Ok(page(visit, 200, webhook, form))
}

fn page(visit: &Visit<'_>, status: i32, webhook: Value, form: Value) -> Answer {
    let mut data = tables::as_owner(|| sql::json(CHOICES, &[]));
    data["webhook"] = webhook;
    data["form"] = form;
    visit.page(status, "webhook_form", data)
}

pub fn create(visit: &Visit<'_>) -> Result<Answer, Problem> {
    let form = visit.request.form()?;
    let arguments = match arguments(visit, &form) {
        Ok(arguments) => arguments,
        Err(errors) => return Ok(page(visit, 422, Value::Null, sent(&form, errors, None))),
    };
    let created = fields::try_form(refused::WEBHOOK, || {
        fields::use_once(visit.request, &form)?;
        Ok(sql::json(CREATE, &[JsonB(arguments).into()]))
    })?;
    match created.and_then(|created| created) {
        Ok(created) => Ok(visit.page(201, "webhook_created", created)),
        Err(Refused { status, errors }) => Ok(page(visit, status, Value::Null, sent(&form, errors, None))),
    }
}

pub fn update(visit: &Visit<'_>, id: i64) -> Result<Answer, Problem> {
    const VERSION: &str = "SELECT s.xmin::text FROM hydra.subscription AS s WHERE s.id = $1";
    visit.lock_own_webhook(id)?;
    let webhook = model(visit, id)?;
    let form = visit.request.form()?;
    let version: Option<String> = tables::as_owner(|| sql::one(VERSION, &[id.into()]));
    let refuse = |status: i32, errors: Vec<Value>| {
        Ok(page(visit, status, webhook.clone(), sent(&form, errors, version.as_deref())))
    };
    if form.get("version").is_some_and(|sent| Some(sent) != version.as_deref()) {
        let changed = error(
            None,
            "this webhook was changed by somebody else",
            Some("Your form shows the settings as they were before."),
            Some("Look at your values, and send the form again to use them."),
        );
        return refuse(409, vec![changed]);
    }
    let mut arguments = match arguments(visit, &form) {
        Ok(arguments) => arguments,
        Err(errors) => return refuse(422, errors),
    };
    // A field that is not there was not in the form, but that browsers send no boxes that are not ticked.
    let is_empty = |field: &str| form.exact(field).is_some() || field == "signatures";
    let is_removed = |field: &&&str| arguments.get(**field).is_none_or(Value::is_null) && is_empty(field);
    let mut removed: Vec<&str> = REMOVABLE.iter().filter(is_removed).copied().collect();
    let stored = tables::as_owner(|| sql::json(VALUES, &[id.into()]));
    for (field, value) in arguments.as_object_mut().expect("arguments have names") {
        if fields::is_as_shown(&form, field, &stored["values"][field]) {
            *value = Value::Null;
            removed.retain(|removed| removed != field);
        }
    }
    arguments["id"] = json!(id);
    arguments["reset"] = json!(removed);
    match fields::try_form(refused::WEBHOOK, || sql::run(UPDATE, &[JsonB(arguments).into()]))? {
        Ok(()) => Ok(Answer::see_other(format!("/settings/webhooks/{id}?done=updated"))),
        Err(Refused { status, errors }) => refuse(status, errors),
    }
}

/// Returns the arguments of `webhook_create` and `webhook_update`: what the form has no value for is null. Fails with an
/// error for each field whose value cannot be read.
fn arguments(visit: &Visit<'_>, form: &Form) -> Result<Value, Vec<Value>> {
    let mut errors = fields::check_types(form, TYPES);
    if let Some(url) = form.get("url") {
        errors.extend(fields::check("url", "SELECT hydra._check_url($1)", url));
    }
    let mut arguments = Map::new();
    for field in ["name", "url", "tenant_id", "preset"].into_iter().chain(TYPES.iter().map(|(field, _)| *field)) {
        arguments.insert(field.into(), json!(form.get(field)));
    }
    for field in ["event_types", "signatures"] {
        arguments.insert(field.into(), json!(Some(form.all(field)).filter(|values| !values.is_empty())));
    }
    arguments.insert("log_successes".into(), json!(form.get("log_successes").is_some()));
    if let Some(schedule) = form.get("retry_schedule") {
        match delays(schedule) {
            Ok(delays) => _ = arguments.insert("retry_schedule".into(), json!(delays)),
            Err(message) => errors.push(error(Some("retry_schedule"), message, None, None)),
        }
    }
    match headers(form.get("headers")) {
        Headers::Unchanged => {}
        Headers::Wrong(message) => errors.push(error(Some("headers"), &message, None, None)),
        Headers::These(headers) => {
            let text = headers.to_string();
            errors.extend(fields::check("headers", "SELECT hydra._check_headers($1)", &text));
            arguments.insert("headers".into(), headers);
        }
    }
    // A visitor of a tenant makes nothing for another one.
    if let Some(tenant) = visit.tenant() {
        arguments.insert("tenant_id".into(), json!(tenant));
    }
    if errors.is_empty() { Ok(Value::Object(arguments)) } else { Err(errors) }
}

/// Reads the delays before retries, with commas or in lines.
fn delays(schedule: &str) -> Result<Vec<&str>, &'static str> {
    if schedule.eq_ignore_ascii_case(NO_RETRIES) {
        return Ok(Vec::new());
    }
    let delays: Vec<&str> = schedule.split([',', '\n']).map(str::trim).filter(|delay| !delay.is_empty()).collect();
    match delays.iter().find_map(|delay| fields::refusal_of_type(delay, "interval")) {
        Some(message) => Err(message),
        None if delays.is_empty() => Err("there is no delay: for no retries, write none"),
        None => Ok(delays),
    }
}

/// Reads headers, one in a line.
fn headers(text: Option<&str>) -> Headers {
    let Some(text) = text else { return Headers::Unchanged };
    if text == "-" {
        return Headers::These(json!({}));
    }
    let mut headers = Map::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let Some((name, value)) = line.split_once(':') else {
            return Headers::Wrong("each line needs a name, a colon and a value".into());
        };
        headers.insert(name.trim().into(), json!(value.trim()));
    }
    Headers::These(Value::Object(headers))
}

/// Returns the form as it was sent. Values of headers may be secret and are not sent back.
fn sent(form: &Form, errors: Vec<Value>, version: Option<&str>) -> Value {
    let mut values = Map::new();
    let texts = ["name", "url", "tenant_id", "preset", "retry_schedule"];
    for field in texts.into_iter().chain(TYPES.iter().map(|(field, _)| *field)) {
        values.insert(field.into(), json!(fields::text(form, field)));
    }
    for field in ["event_types", "signatures"] {
        values.insert(field.into(), json!(form.all(field)));
    }
    values.insert("headers".into(), json!(""));
    values.insert("log_successes".into(), json!(form.get("log_successes").is_some()));
    let mut form_model = json!({"values": values, "errors": errors});
    match version {
        Some(version) => form_model["version"] = json!(version),
        None => form_model["once"] = json!(fields::new_once()),
    }
    form_model
}
