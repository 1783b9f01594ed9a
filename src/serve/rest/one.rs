//! Answers with one row of a resource.

use wire::form;

use super::representation::{self, Representation};
use super::resource::Resource;
use super::{Call, conditional};
use crate::serve::answer::Answer;
use crate::serve::problem::Problem;

pub fn answer(call: &Call<'_>, resource: &Resource, id: &str) -> Result<Answer, Problem> {
    let parameters = form::pairs(call.request.query.as_bytes()).unwrap_or_default();
    if let Some((field, _)) = parameters.first() {
        let detail = format!("There is no parameter {field} here.");
        return Err(Problem::bad_request().with_error(field, "unknown_parameter", &detail).with_detail(detail));
    }
    let Representation { text, etag } = get(resource, id)?;
    Ok(conditional(call, &etag, || Answer::json_text(200, text)))
}

/// Returns the row with this id, as it stands in a path.
pub fn get(resource: &Resource, id: &str) -> Result<Representation, Problem> {
    let id = form::unescaped(id).ok_or_else(Problem::not_found)?;
    representation::fetch(resource, &id, false)?.ok_or_else(Problem::not_found)
}
