//! Creates and changes adapters.

use pgrx::JsonB;
use serde_json::{Map, Value, json};
use wire::form::Form;

use super::{model, rows};
use crate::serve::answer::Answer;
use crate::serve::console::fields::{self, Fields, Refused, error};
use crate::serve::console::visit::Visit;
use crate::serve::problem::Problem;
use crate::serve::sql;
use crate::tables;

const CREATE: &str = include_str!("../../../../sql/queries/console_create_adapter.sql");
const UPDATE: &str = include_str!("../../../../sql/queries/console_update_adapter.sql");
const VALUES: &str = include_str!("../../../../sql/queries/console_inbound_values.sql");
const CHOICES: &str = include_str!("../../../../sql/queries/console_inbound_choices.sql");

const TYPES: &[(&str, &str)] = &[("budget", "interval"), ("requests_per_second", "integer"), ("scheme", "jsonb")];

const TEXTS: &[&str] = &["name", "provider", "tenant_id", "each", "id_path", "type_path"];

const FIELDS: Fields = &[
    ("name ", "name"),
    ("invalid name", "name"),
    ("provider ", "provider"),
    ("inbound adapter ", "provider"),
    ("the secret ", "secret"),
    ("an inbound adapter of this provider needs a secret", "secret"),
    ("mapping ", "mapping"),
    ("invalid mapping", "mapping"),
    ("invalid path in the mapping", "mapping"),
    ("the mapping ", "mapping"),
    ("event type ", "mapping"),
    ("invalid tenant_id", "tenant_id"),
    ("invalid budget", "budget"),
    ("invalid requests_per_second", "requests_per_second"),
    ("invalid each", "each"),
    ("invalid id_path", "id_path"),
    ("invalid type_path", "type_path"),
    ("the scheme ", "scheme"),
    ("invalid scheme", "scheme"),
];

pub fn blank(visit: &Visit<'_>) -> Result<Answer, Problem> {
    visit.require_manager()?;
    let mut values = json!({"name": "", "provider": "none", "mapping": rows::empty(),
        "tenant_id": visit.tenant().unwrap_or_default()});
    for field in ["budget", "requests_per_second", "scheme", "each", "id_path", "type_path"] {
        values[field] = json!("");
    }
    Ok(page(visit, 200, Value::Null, json!({"values": values, "errors": [], "once": fields::new_once()})))
}

pub fn filled(visit: &Visit<'_>, id: i64) -> Result<Answer, Problem> {
    visit.require_manager()?;
    let adapter = model(visit, id)?;
    let mut form = tables::as_owner(|| sql::json(VALUES, &[id.into()]));
    let mapping = form["mapping"].take();
    rows::show(&mut form["values"], &mapping);
    form["errors"] = json!([]);
    Ok(page(visit, 200, adapter, form))
}

fn page(visit: &Visit<'_>, status: i32, adapter: Value, form: Value) -> Answer {
    let providers = ::inbound::Scheme::provider_names();
    let providers: Vec<Value> = providers.iter().map(|name| json!({"name": name})).collect();
    let event_types = tables::as_owner(|| sql::json(CHOICES, &[]));
    let data = json!({"adapter": adapter, "form": form, "providers": providers, "event_types": event_types});
    visit.page(status, "inbound_adapter_form", data)
}

pub fn create(visit: &Visit<'_>) -> Result<Answer, Problem> {
    let form = visit.request.form()?;
    let again = |status: i32, rows: Value, errors: Vec<Value>| {
        let once = if status == 200 { fields::text(&form, "once") } else { fields::new_once() };
        let model = json!({"values": values(&form, rows), "errors": errors, "once": once});
        Ok(page(visit, status, Value::Null, model))
    };
    if rows::are_more_wanted(&form) {
        return again(200, rows::with_more(&form), Vec::new());
    }
    let arguments = match arguments(visit, &form, None) {
        Ok(arguments) => arguments,
        Err(errors) => return again(422, rows::sent(&form), errors),
    };
    let secret = form.get("secret");
    let created = fields::try_form(FIELDS, || {
        fields::use_once(visit.request, &form)?;
        Ok(sql::json(CREATE, &[JsonB(arguments).into(), secret.into()]))
    })?;
    match created.and_then(|created| created) {
        Ok(created) => Ok(visit.page(201, "inbound_adapter_created", created)),
        Err(Refused { status, errors }) => again(status, rows::sent(&form), at_rows(&form, errors)),
    }
}

pub fn update(visit: &Visit<'_>, id: i64) -> Result<Answer, Problem> {
    const VERSION: &str = "SELECT a.xmin::text FROM hydra.inbound_adapter AS a WHERE a.id = $1";
    visit.lock_own_adapter(id)?;
    let adapter = model(visit, id)?;
    let form = visit.request.form()?;
    let version: Option<String> = tables::as_owner(|| sql::one(VERSION, &[id.into()]));
    let stored = tables::as_owner(|| sql::json(VALUES, &[id.into()]));
    let again = |status: i32, rows: Value, version: Option<&str>, errors: Vec<Value>| {
        let mut values = values(&form, rows);
        if rows::are_too_many(&stored["mapping"]) {
            rows::show(&mut values, &stored["mapping"]);
        }
        let model = json!({"values": values, "errors": errors, "version": version});
        Ok(page(visit, status, adapter.clone(), model))
    };
    if rows::are_more_wanted(&form) {
        return again(200, rows::with_more(&form), form.get("version"), Vec::new());
    }
    let refuse = |status: i32, errors| again(status, rows::sent(&form), version.as_deref(), errors);
    if form.get("version").is_some_and(|sent| Some(sent) != version.as_deref()) {
        let changed = error(
            None,
            "this adapter was changed by somebody else",
            Some("Your form shows the settings as they were before."),
            Some("Look at your values, and send the form again to use them."),
        );
        return refuse(409, vec![changed]);
    }
    let mut arguments = match arguments(visit, &form, Some(&stored)) {
        Ok(arguments) => arguments,
        Err(errors) => return refuse(422, errors),
    };
    arguments["id"] = json!(id);
    match fields::try_form(FIELDS, || sql::run(UPDATE, &[JsonB(arguments).into()]))? {
        Ok(()) => Ok(Answer::see_other(format!("/settings/inbound-adapters/{id}?done=adapter-updated"))),
        Err(Refused { status, errors }) => refuse(status, at_rows(&form, errors)),
    }
}

/// Returns the arguments of `inbound_create` and `inbound_update` except the secret. What the form has no field for is
/// null; on an edit, an empty field is what removes the setting. Fails with an error for each field whose value cannot be read. `stored`:
/// what an edit has shown; what was not changed is null.
fn arguments(visit: &Visit<'_>, form: &Form, stored: Option<&Value>) -> Result<Value, Vec<Value>> {
    const NOTHING: &[(&str, &str)] = &[
        ("budget", "0"),
        ("requests_per_second", "0"),
        ("scheme", "null"),
        ("each", ""),
        ("id_path", ""),
        ("type_path", ""),
    ];
    let mut errors = fields::check_types(form, TYPES);
    let mut arguments = Map::new();
    for field in TEXTS.iter().copied().chain(TYPES.iter().map(|(field, _)| *field)) {
        let nothing = NOTHING.iter().find(|(name, _)| *name == field).map(|(_, nothing)| *nothing);
        let value = form.get(field).or(nothing.filter(|_| stored.is_some() && form.exact(field).is_some()));
        let is_as_shown = stored.is_some_and(|stored| fields::is_as_shown(form, field, &stored["values"][field]));
        arguments.insert(field.into(), json!(value.filter(|_| !is_as_shown)));
    }
    let is_same = |mapping: &Value| rows::are_too_many(mapping) || rows::are_as_shown(form, mapping);
    match rows::mapping(form) {
        _ if stored.is_some_and(|stored| is_same(&stored["mapping"])) => {}
        Ok(mapping) => {
            rows::require(&mapping, &mut errors);
            arguments.insert("mapping".into(), mapping);
        }
        Err(wrong) => errors.extend(wrong),
    }
    if form.get("name").is_none() {
        errors.insert(0, error(Some("name"), "name must not be empty", None, None));
    }
    // A visitor of a tenant makes nothing for another one.
    if let Some(tenant) = visit.tenant() {
        arguments.insert("tenant_id".into(), json!(tenant));
    }
    if errors.is_empty() { Ok(Value::Object(arguments)) } else { Err(errors) }
}

/// Puts errors of the mapping at the row that they are about.
fn at_rows(form: &Form, errors: Vec<Value>) -> Vec<Value> {
    let at_row = |mut error: Value| {
        if error["field"] == "mapping" {
            error["field"] = json!(rows::field_of(form, &error));
        }
        error
    };
    errors.into_iter().map(at_row).collect()
}

/// Returns the values as they were sent. The secret is not sent back.
fn values(form: &Form, rows: Value) -> Value {
    let mut values = json!({"mapping": rows, "secret_again": form.get("secret").is_some()});
    for field in TEXTS.iter().copied().chain(TYPES.iter().map(|(field, _)| *field)) {
        values[field] = json!(fields::text(form, field));
    }
    values
}
