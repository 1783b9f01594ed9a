//! Lists, creates, revokes and rotates API keys.

use pgrx::JsonB;
use serde_json::{Value, json};
use wire::form::Form;

use super::fields::{self, Fields, Refused};
use super::visit::Visit;
use crate::serve::answer::Answer;
use crate::serve::problem::Problem;
use crate::serve::sql;

const LIST: &str = "SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.to_jsonb(k) ORDER BY k.id DESC), '[]')
                    FROM hydra.api_keys AS k
                    WHERE ($1 IS NULL OR k.tenant_id = $1) AND ($2 IS NULL OR k.id = $2)";
const CREATE: &str = include_str!("../../../sql/queries/console_create_api_key.sql");

const TYPES: &[(&str, &str)] = &[("expires_at", "timestamptz"), ("requests_per_minute", "integer")];

const FIELDS: Fields = &[
    ("invalid name of an API key", "name"),
    ("invalid scope", "scopes"),
    ("invalid tenant_id", "tenant_id"),
    ("expires_at ", "expires_at"),
    ("invalid approval", "approval"),
    ("invalid requests_per_minute", "requests_per_minute"),
    ("role ", "role"),
    ("no request may act ", "role"),
    ("you are not a member ", "role"),
];

const OVERLAP: Fields = &[("invalid overlap", "overlap")];

/// Scopes that do not depend on what the application exposes.
const SCOPES: &[&str] = &["webhooks:read", "webhooks:manage", "inbound:read", "flows:read", "mcp"];

fn keys(visit: &Visit<'_>, id: Option<i64>) -> Value {
    sql::json(LIST, &[visit.tenant().into(), id.into()])
}

fn key(visit: &Visit<'_>, id: i64) -> Result<Value, Problem> {
    visit.require_own_key(id)?;
    keys(visit, Some(id)).get_mut(0).map(Value::take).ok_or_else(Problem::not_found)
}

pub fn list(visit: &Visit<'_>) -> Result<Answer, Problem> {
    Ok(visit.page(200, "api_keys", json!({"api_keys": keys(visit, None)})))
}

pub fn blank(visit: &Visit<'_>) -> Result<Answer, Problem> {
    visit.require_manager()?;
    let values = json!({"name": "", "scopes": [], "tenant_id": visit.tenant().unwrap_or_default(), "role": "hydra_api",
                        "expires_at": "", "approval": "console", "requests_per_minute": "600"});
    Ok(form_page(visit, 200, values, Vec::new()))
}

fn form_page(visit: &Visit<'_>, status: i32, values: Value, errors: Vec<Value>) -> Answer {
    let form = json!({"values": values, "errors": errors, "once": fields::new_once()});
    let data = json!({"form": form, "scopes": SCOPES, "approvals": ["console", "elicit", "client"],
                      "roles": roles(visit)});
    visit.page(status, "api_key_form", data)
}

/// Returns the roles that are offered. A visitor with a tenant makes keys with the role that the DBA has prepared for
/// keys, whose policies keep tenants apart.
fn roles(visit: &Visit<'_>) -> Vec<&'static str> {
    match visit.tenant() {
        Some(_) => vec!["hydra_api"],
        None => vec!["hydra_api", "hydra_member", "hydra_analyst", "hydra_admin"],
    }
}

pub fn create(visit: &Visit<'_>) -> Result<Answer, Problem> {
    let form = visit.request.form()?;
    let values = values(&form);
    let mut errors = fields::check_types(&form, TYPES);
    let role = form.get("role").unwrap_or("hydra_api");
    if visit.tenant().is_some() && !roles(visit).contains(&role) {
        let hint = Some("Omit it for hydra_api.");
        errors.push(fields::error(Some("role"), "this role is not for keys of a tenant", None, hint));
    }
    if !errors.is_empty() {
        return Ok(form_page(visit, 422, values, errors));
    }
    let arguments = json!({
        "name": form.get("name"), "scopes": form.all("scopes"), "role": role,
        "tenant_id": visit.tenant().or(form.get("tenant_id")), "expires_at": form.get("expires_at"),
        "approval": form.get("approval"), "requests_per_minute": form.get("requests_per_minute"),
    });
    let created = fields::try_form(FIELDS, || {
        fields::use_once(visit.request, &form)?;
        Ok(sql::json(CREATE, &[JsonB(arguments).into()]))
    })?;
    match created.and_then(|created| created) {
        Ok(mut created) => {
            let id = created["id"].as_i64().ok_or_else(Problem::internal)?;
            let data = json!({"api_key": key(visit, id)?, "key": created["key"].take()});
            Ok(visit.page(201, "api_key_created", data))
        }
        Err(Refused { status, errors }) => Ok(form_page(visit, status, values, errors)),
    }
}

/// Returns the values as they were sent.
fn values(form: &Form) -> Value {
    let mut values = json!({"scopes": form.all("scopes")});
    for field in ["name", "tenant_id", "role", "expires_at", "approval", "requests_per_minute"] {
        values[field] = json!(fields::text(form, field));
    }
    values
}

pub fn before_revocation(visit: &Visit<'_>, id: i64) -> Result<Answer, Problem> {
    visit.require_manager()?;
    Ok(visit.page(200, "api_key_revoke", json!({"api_key": key(visit, id)?})))
}

pub fn revoke(visit: &Visit<'_>, id: i64) -> Result<Answer, Problem> {
    visit.require_own_key(id)?;
    sql::run("SELECT hydra.api_key_revoke($1)", &[id.into()]);
    Ok(Answer::see_other("/settings/api-keys?done=revoked"))
}

pub fn before_rotation(visit: &Visit<'_>, id: i64) -> Result<Answer, Problem> {
    visit.require_manager()?;
    rotation_form(visit, id, 200, "", Vec::new())
}

fn rotation_form(
    visit: &Visit<'_>,
    id: i64,
    status: i32,
    overlap: &str,
    errors: Vec<Value>,
) -> Result<Answer, Problem> {
    let form = json!({"values": {"overlap": overlap}, "errors": errors});
    Ok(visit.page(status, "api_key_rotate", json!({"api_key": key(visit, id)?, "form": form})))
}

pub fn rotate(visit: &Visit<'_>, id: i64) -> Result<Answer, Problem> {
    visit.require_own_key(id)?;
    let form = visit.request.form()?;
    let overlap = form.get("overlap").unwrap_or("0").to_owned();
    let errors = fields::check_types(&form, &[("overlap", "interval")]);
    if !errors.is_empty() {
        return rotation_form(visit, id, 422, &overlap, errors);
    }
    const ROTATE: &str = "SELECT pg_catalog.jsonb_build_object(
                              'key', hydra.api_key_rotate($1, $2::interval), 'overlap', $2::interval)";
    match fields::try_form(OVERLAP, || sql::json(ROTATE, &[id.into(), overlap.as_str().into()]))? {
        Ok(mut rotated) => {
            rotated["api_key"] = key(visit, id)?;
            Ok(visit.page(200, "api_key_rotated", rotated))
        }
        Err(Refused { status, errors }) => rotation_form(visit, id, status, &overlap, errors),
    }
}
