//! Lists and registers event types.

use serde_json::{Value, json};

use super::fields::{self, Fields, Refused};
use super::visit::Visit;
use crate::serve::answer::Answer;
use crate::serve::problem::Problem;
use crate::serve::sql;
use crate::tables;

const LIST: &str = include_str!("../../../sql/queries/console_event_types.sql");

const FIELDS: Fields = &[
    ("invalid event type name", "name"),
    ("event type ", "name"),
    ("description ", "description"),
    ("entity_type ", "entity_type"),
    ("id_key ", "id_key"),
];

pub fn list(visit: &Visit<'_>) -> Result<Answer, Problem> {
    let values = json!({"name": "", "description": "", "entity_type": "", "id_key": ""});
    Ok(page(visit, 200, json!({"values": values, "errors": []})))
}

fn page(visit: &Visit<'_>, status: i32, form: Value) -> Answer {
    let event_types = tables::as_owner(|| sql::json(LIST, &[visit.tenant().into()]));
    visit.page(status, "event_types", json!({"event_types": event_types, "form": form}))
}

/// Event types belong to all tenants.
pub fn register(visit: &Visit<'_>) -> Result<Answer, Problem> {
    if visit.tenant().is_some() {
        return Err(Problem::forbidden().with_detail("Event types belong to all tenants."));
    }
    const REGISTER: &str = "SELECT hydra.webhook_register_event_type($1, $2, $3, $4)";
    let form = visit.request.form()?;
    let given = ["name", "description", "entity_type", "id_key"].map(|field| form.get(field));
    let registered = fields::try_form(FIELDS, || sql::run(REGISTER, &given.map(|value| value.into())))?;
    match registered {
        Ok(()) => Ok(Answer::see_other("/settings/event-types?done=registered")),
        Err(Refused { status, errors }) => {
            let [name, description, entity_type, id_key] = given.map(|value| value.unwrap_or_default());
            let values =
                json!({"name": name, "description": description, "entity_type": entity_type, "id_key": id_key});
            Ok(page(visit, status, json!({"values": values, "errors": errors})))
        }
    }
}
