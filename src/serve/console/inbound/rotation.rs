//! Replaces URLs and secrets of adapters.

use serde_json::{Value, json};
use wire::form::Form;

use super::model;
use crate::serve::answer::Answer;
use crate::serve::console::fields::{self, Fields, Refused, error};
use crate::serve::console::visit::Visit;
use crate::serve::problem::Problem;
use crate::serve::sql;

const FIELDS: Fields = &[
    ("invalid overlap", "overlap"),
    ("inbound adapter ", "overlap"),
    ("secret ", "secret"),
    ("the secret ", "secret"),
];

pub fn of_url(visit: &Visit<'_>, id: i64) -> Result<Answer, Problem> {
    const ROTATE: &str = "SELECT pg_catalog.jsonb_build_object(
                              'url', hydra.inbound_rotate_url($1, $2::interval), 'overlap', $2::interval)";
    const PAGE: &str = "inbound_url_rotate";
    if visit.request.reads() {
        return page(visit, id, PAGE, 200, "", Vec::new());
    }
    visit.lock_own_adapter(id)?;
    let form = visit.request.form()?;
    let overlap = overlap(&form);
    let refuse = |status: i32, errors| page(visit, id, PAGE, status, &overlap, errors);
    let errors = fields::check_types(&form, &[("overlap", "interval")]);
    if !errors.is_empty() {
        return refuse(422, errors);
    }
    match fields::try_form(FIELDS, || sql::json(ROTATE, &[id.into(), overlap.as_str().into()]))? {
        Ok(mut rotated) => {
            // With the new prefix.
            rotated["adapter"] = model(visit, id)?;
            Ok(visit.page(200, "inbound_url_rotated", rotated))
        }
        Err(Refused { status, errors }) => refuse(status, errors),
    }
}

pub fn of_secret(visit: &Visit<'_>, id: i64) -> Result<Answer, Problem> {
    const ROTATE: &str = "SELECT hydra.inbound_rotate_secret($1, $2, $3::interval)";
    const PAGE: &str = "inbound_secret_rotate";
    if visit.request.reads() {
        return page(visit, id, PAGE, 200, "", Vec::new());
    }
    visit.lock_own_adapter(id)?;
    let form = visit.request.form()?;
    let overlap = overlap(&form);
    let refuse = |status: i32, errors| page(visit, id, PAGE, status, &overlap, errors);
    let mut errors = fields::check_types(&form, &[("overlap", "interval")]);
    let secret = form.get("secret");
    if secret.is_none() {
        errors.insert(0, error(Some("secret"), "secret must not be empty", None, None));
    }
    if !errors.is_empty() {
        return refuse(422, errors);
    }
    match fields::try_form(FIELDS, || sql::run(ROTATE, &[id.into(), secret.into(), overlap.as_str().into()]))? {
        Ok(()) => Ok(Answer::see_other(format!("/settings/inbound-adapters/{id}?done=secret-replaced"))),
        Err(Refused { status, errors }) => refuse(status, errors),
    }
}

fn overlap(form: &Form) -> String {
    form.get("overlap").unwrap_or("0").to_owned()
}

fn page(
    visit: &Visit<'_>,
    id: i64,
    name: &str,
    status: i32,
    overlap: &str,
    errors: Vec<Value>,
) -> Result<Answer, Problem> {
    visit.require_manager()?;
    let form = json!({"values": {"overlap": overlap}, "errors": errors});
    Ok(visit.page(status, name, json!({"adapter": model(visit, id)?, "form": form})))
}
