//! Shows what would be sent to a webhook for an event: the event is emitted for real, in a rehearsal.

use pgrx::JsonB;
use serde_json::{Value, json};

use super::fields::{self, Fields, Refused, error};
use super::visit::Visit;
use super::webhooks::model;
use crate::serve::answer::Answer;
use crate::serve::problem::Problem;
use crate::serve::rehearse::{Effects, rehearse};
use crate::serve::sql;
use crate::tables;

const FIELDS: Fields = &[("event type ", "event"), ("invalid event type", "event")];

const CHOICES: &str = include_str!("../../../sql/queries/console_wanted_event_types.sql");

pub fn answer(visit: &Visit<'_>, id: i64) -> Result<Answer, Problem> {
    visit.require_manager()?;
    let webhook = model(visit, id)?;
    let choices = tables::as_owner(|| sql::json(CHOICES, &[id.into()]));
    if visit.request.reads() {
        let query = visit.request.query()?;
        let event = query.get("event").or(choices[0].as_str()).unwrap_or_default();
        let form = json!({"values": {"event": event, "entity": "{\"id\": \"1\"}"}, "errors": []});
        return Ok(page(visit, 200, webhook, &choices, form, Value::Null));
    }
    let sent = visit.request.form()?;
    let (event, entity) = (fields::text(&sent, "event"), fields::text(&sent, "entity"));
    let form = |errors: Vec<Value>| json!({"values": {"event": event, "entity": entity}, "errors": errors});
    let Ok(parsed) = serde_json::from_str::<Value>(&entity) else {
        let wrong =
            error(Some("entity"), "this is not valid JSON", None, Some("Use an object such as {\"id\": \"1\"}."));
        return Ok(page(visit, 422, webhook, &choices, form(vec![wrong]), Value::Null));
    };
    let tenant = webhook["tenant_id"].as_str();
    let rehearsed = fields::try_form(FIELDS, || {
        // The owner may emit. Nothing is kept, and the visitor sees only the request to the visitor's own webhook.
        tables::as_owner(|| rehearse(|| emit(&event, parsed, tenant)).unwrap_or_else(|error| error.rethrow()).1)
    })?;
    match rehearsed {
        Ok(effects) => {
            let result = outcome(&effects, id, &webhook);
            Ok(page(visit, 200, webhook, &choices, form(Vec::new()), result))
        }
        Err(Refused { status, errors }) => Ok(page(visit, status, webhook, &choices, form(errors), Value::Null)),
    }
}

fn emit(event: &str, entity: Value, tenant: Option<&str>) {
    sql::run("SELECT hydra.webhook_emit($1, $2, $3)", &[event.into(), JsonB(entity).into(), tenant.into()]);
}

/// Returns the request to this webhook, or why there would be none.
fn outcome(effects: &Effects, id: i64, webhook: &Value) -> Value {
    let mut requests = effects.webhooks.iter().map(|webhook| &webhook.shown);
    match requests.find(|request| request["subscription_id"] == id) {
        Some(request) => json!({"would_send": true, "reason": null, "body": request["body"]}),
        None if webhook["status"] != "active" => {
            json!({"would_send": false, "reason": "the webhook is not active", "body": null})
        }
        None => json!({"would_send": false, "reason": "its event types or its filter do not match", "body": null}),
    }
}

fn page(visit: &Visit<'_>, status: i32, webhook: Value, choices: &Value, form: Value, result: Value) -> Answer {
    let part = |name: &str| result.get(name).cloned().unwrap_or_default();
    let data = json!({"webhook": webhook, "form": form, "event_types": choices, "would_send": part("would_send"),
                      "reason": part("reason"), "body": part("body")});
    visit.page(status, "webhook_preview", data)
}
