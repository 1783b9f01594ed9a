//! Lists and shows webhooks, and does what their buttons say.

use pgrx::Uuid;
use serde_json::{Value, json};

use super::fields::{self, Refused};
use super::visit::Visit;
use crate::backend::deadline;
use crate::backend::subtransaction::{attempt, must_end};
use crate::serve::answer::Answer;
use crate::serve::problem::{Problem, Texts};
use crate::serve::{refused, sql};
use crate::tables;

const WEBHOOKS: &str = include_str!("../../../sql/queries/console_webhooks.sql");
const HOURS: &str = include_str!("../../../sql/queries/console_hours.sql");
const SETTINGS: &str = include_str!("../../../sql/queries/console_settings.sql");
const RECENT: &str = include_str!("../../../sql/queries/console_recent.sql");
const WAITING: &str = include_str!("../../../sql/queries/console_waiting.sql");
const DELIVERED: &str = include_str!("../../../sql/queries/console_delivered.sql");
const WORKER: &str = "SELECT pg_catalog.jsonb_build_object('state', w.state, 'detail', w.detail)
                      FROM hydra.webhook_worker_status AS w";

/// What the form of a rotation begins with. Without an overlap, an endpoint fails until it has the new secret.
const USUAL_OVERLAP: &str = "1 day";

pub fn list(visit: &Visit<'_>) -> Result<Answer, Problem> {
    let data = json!({"webhooks": models(visit, None), "worker": worker(visit)});
    Ok(visit.page(200, "webhooks", data))
}

pub fn show(visit: &Visit<'_>, id: i64, test: Option<Value>) -> Result<Answer, Problem> {
    let webhook = model(visit, id)?;
    let data = json!({
        "webhook": webhook,
        "settings": sql::json(SETTINGS, &[id.into()]),
        "recent": failures(visit, RECENT, id),
        "waiting": failures(visit, WAITING, id),
        "delivered": failures(visit, DELIVERED, id),
        "worker": worker(visit),
        "test": test,
    });
    Ok(visit.page(200, "webhook", data))
}

/// Returns the model of a webhook of the visitor's.
pub fn model(visit: &Visit<'_>, id: i64) -> Result<Value, Problem> {
    visit.require_own_webhook(id)?;
    models(visit, Some(id)).get_mut(0).map(Value::take).ok_or_else(Problem::not_found)
}

fn models(visit: &Visit<'_>, id: Option<i64>) -> Value {
    let mut webhooks = sql::json(WEBHOOKS, &[visit.tenant().into(), id.into()]);
    if visit.may_see_failures {
        let list = webhooks.as_array_mut().expect("an array");
        let ids: Vec<i64> = list.iter().filter_map(|webhook| webhook["id"].as_i64()).collect();
        let hours = tables::as_owner(|| sql::json(HOURS, &[ids.into()]));
        for webhook in list {
            let of_webhook = &hours[webhook["id"].to_string()];
            for (name, value) in of_webhook.as_object().into_iter().flatten() {
                webhook[name] = value.clone();
            }
        }
    }
    webhooks
}

/// Returns failures, or other deliveries, of a webhook of the visitor's. The tables are read as the owner, because the views for visitors
/// have no column by which the newest are found quickly.
fn failures(visit: &Visit<'_>, query: &str, id: i64) -> Value {
    match visit.may_see_failures {
        true => tables::as_owner(|| sql::json(query, &[id.into()])),
        false => Value::Null,
    }
}

/// Returns whether events are being sent. Only visitors without a tenant see why not.
fn worker(visit: &Visit<'_>) -> Value {
    let mut worker = sql::json(WORKER, &[]);
    if visit.tenant().is_some() {
        worker["detail"] = Value::Null;
    }
    worker
}

pub fn act(visit: &Visit<'_>, id: i64, action: &str) -> Result<Answer, Problem> {
    if action == "test" {
        // Without a lock, which would last as long as the request to the endpoint.
        visit.require_own_webhook(id)?;
        return show(visit, id, Some(test(id)));
    }
    visit.lock_own_webhook(id)?;
    let back = |done: &str| Ok(Answer::see_other(format!("/settings/webhooks/{id}?done={done}")));
    match action {
        "pause" => {
            let keep = visit.request.form()?.get("keep_events").is_some();
            sql::run("SELECT hydra.webhook_pause($1, $2)", &[id.into(), keep.into()]);
            back("paused")
        }
        "resume" => {
            let form = visit.request.form()?;
            sql::run("SELECT hydra.webhook_resume($1, $2)", &[id.into(), form.get("missed").into()]);
            back("resumed")
        }
        "retry" => {
            sql::run("SELECT hydra.webhook_replay($1, '-infinity', 'infinity')", &[id.into()]);
            back("replayed")
        }
        "end-overlap" => {
            sql::run("SELECT hydra.webhook_end_overlap($1)", &[id.into()]);
            back("overlap-ended")
        }
        "delete" => {
            sql::run("SELECT hydra.webhook_delete($1)", &[id.into()]);
            Ok(Answer::see_other("/settings/webhooks?done=deleted"))
        }
        _ => Err(Problem::not_found()),
    }
}

/// Makes a test request and returns what came of it.
fn test(id: i64) -> Value {
    const TEST: &str = include_str!("../../../sql/queries/send_test.sql");
    let failed = match attempt(|| sql::json(TEST, &[id.into()])) {
        Ok(answer) => return answer,
        Err(failed) => failed,
    };
    if deadline::is_over() {
        return json!({"error": "there was no answer in time"});
    }
    if must_end(&failed) {
        failed.rethrow();
    }
    let problem = Problem::of(&failed, Texts::Own);
    json!({"error": problem.message, "detail": problem.detail, "hint": problem.hint})
}

pub fn act_on_delivery(visit: &Visit<'_>, id: i64, delivery: &str, action: &str) -> Result<Answer, Problem> {
    const FIND: &str = "SELECT true FROM hydra.delivery AS d WHERE d.id = $1 AND d.subscription_id = $2
                        UNION ALL
                        SELECT true FROM hydra.delivered AS k WHERE k.id = $1 AND k.subscription_id = $2";
    visit.lock_own_webhook(id)?;
    let delivery = uuid(delivery).ok_or_else(Problem::not_found)?;
    let is_its_own: Option<bool> = tables::as_owner(|| sql::one(FIND, &[delivery.into(), id.into()]));
    is_its_own.ok_or_else(Problem::not_found)?;
    let (call, done) = match action {
        "retry" => ("SELECT hydra.webhook_retry($1)", "retried"),
        "cancel" => ("SELECT hydra.webhook_cancel($1)", "cancelled"),
        _ => return Err(Problem::not_found()),
    };
    match sql::one(call, &[delivery.into()]) {
        Some(0_i64) => Err(Problem::conflict()
            .with_detail("The delivery is being sent, or is finished.")
            .with_hint("Try again when the attempt is over.")),
        _ => Ok(Answer::see_other(format!("/settings/webhooks/{id}?done={done}"))),
    }
}

fn uuid(text: &str) -> Option<Uuid> {
    let digits = text.replace('-', "");
    let bytes: [u8; 16] = hex::decode(digits).ok()?.try_into().ok()?;
    Some(Uuid::from_bytes(bytes))
}

pub fn before_deletion(visit: &Visit<'_>, id: i64) -> Result<Answer, Problem> {
    visit.require_manager()?;
    Ok(visit.page(200, "webhook_delete", json!({"webhook": model(visit, id)?})))
}

pub fn before_rotation(visit: &Visit<'_>, id: i64) -> Result<Answer, Problem> {
    visit.require_manager()?;
    rotation_form(visit, id, 200, USUAL_OVERLAP, Vec::new())
}

fn rotation_form(
    visit: &Visit<'_>,
    id: i64,
    status: i32,
    overlap: &str,
    errors: Vec<Value>,
) -> Result<Answer, Problem> {
    const MAY_OVERLAP: &str =
        "SELECT NOT s.signatures && '{x_webhook,github}' FROM hydra.webhook_subscriptions AS s WHERE s.id = $1";
    let webhook = model(visit, id)?;
    let may_overlap: Option<bool> = sql::one(MAY_OVERLAP, &[id.into()]);
    let form = json!({"values": {"overlap": overlap}, "errors": errors});
    Ok(visit.page(status, "webhook_rotate", json!({"webhook": webhook, "form": form, "may_overlap": may_overlap})))
}

pub fn rotate(visit: &Visit<'_>, id: i64) -> Result<Answer, Problem> {
    visit.lock_own_webhook(id)?;
    let webhook = model(visit, id)?;
    let form = visit.request.form()?;
    let overlap = form.get("overlap").unwrap_or("0").to_owned();
    let errors = fields::check_types(&form, &[("overlap", "interval")]);
    if !errors.is_empty() {
        return rotation_form(visit, id, 422, &overlap, errors);
    }
    const ROTATE: &str = "SELECT pg_catalog.jsonb_build_object(
                              'secret', hydra.webhook_rotate_secret($1, $2::interval), 'overlap', $2::interval)";
    match fields::try_form(refused::ROTATION, || sql::json(ROTATE, &[id.into(), overlap.as_str().into()]))? {
        Ok(mut rotated) => {
            // With the new prefix.
            rotated["webhook"] = model(visit, id).unwrap_or(webhook);
            Ok(visit.page(200, "webhook_rotated", rotated))
        }
        Err(Refused { status, errors }) => rotation_form(visit, id, status, &overlap, errors),
    }
}
