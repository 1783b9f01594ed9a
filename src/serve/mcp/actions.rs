//! The tools that do something with webhooks and their deliveries. None of them decides where events are sent.

use ::mcp::Tool;
use openapi::own::MANAGES_WEBHOOKS;
use pgrx::Uuid;
use serde_json::{Map, Value, json};

use super::own::input;
use super::tools::{AUTOMATION, Does, Found, may};
use super::writing::{Done, Given};
use crate::serve::identity::as_owner;
use crate::serve::rest::Call;
use crate::serve::sql;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    Pause,
    Resume,
    Replay,
    Retry,
    Cancel,
}

use Action::{Cancel, Pause, Replay, Resume, Retry};

/// Returns those that the key can call.
pub fn all(call: &Call<'_>) -> impl Iterator<Item = Found> {
    let may_manage = may(call, &[MANAGES_WEBHOOKS]);
    [Pause, Resume, Replay, Retry, Cancel].into_iter().filter(move |_| may_manage).map(found)
}

fn found(action: Action) -> Found {
    let (name, title, description) = match action {
        Pause => (
            "webhook_pause",
            "Pause a webhook",
            "Stops a webhook: nothing is sent to it until it is resumed. New events are not queued for it, unless they are to be kept.",
        ),
        Resume => ("webhook_resume", "Resume a webhook", "Starts a paused or disabled webhook again."),
        Replay => (
            "webhook_replay",
            "Send failed deliveries again",
            "Sends all deliveries of a webhook again that have failed and whose events were emitted in this time.",
        ),
        Retry => (
            "webhook_retry",
            "Send a delivery again",
            "Sends a delivery again now that has failed or waits, or has succeeded and is kept.",
        ),
        Cancel => (
            "webhook_cancel",
            "Cancel a delivery",
            "Removes a delivery that has failed or waits: it is not sent any more.",
        ),
    };
    let mut input = input(members(action));
    input["required"] = match action {
        Pause | Resume => json!(["id"]),
        Replay => json!(["id", "since", "until"]),
        Retry | Cancel => json!(["delivery_id"]),
    };
    let tool = Tool {
        name: name.into(),
        title: title.into(),
        description: description.into(),
        input,
        output: None,
        reads_only: false,
        // What a webhook has missed can be dropped.
        is_destructive: matches!(action, Resume | Cancel),
        is_idempotent: matches!(action, Pause | Resume | Cancel),
    };
    Found::writes(AUTOMATION, tool, Does::Own(action))
}

fn members(action: Action) -> Map<String, Value> {
    let webhook = json!({"type": "integer", "description": "id of webhook_subscriptions."});
    let missed = json!({"type": "string", "enum": ["send", "drop"],
                        "description": "What becomes of events that it has missed."});
    let keep = json!({"type": "boolean", "description": "Whether events are kept as missed until it is resumed."});
    let time = |description: &str| json!({"type": "string", "format": "date-time", "description": description});
    let delivery = json!({"type": "string", "format": "uuid", "description": "id of webhook_failures."});
    let members = match action {
        Pause => vec![("id", webhook), ("keep_events", keep)],
        Resume => vec![("id", webhook), ("missed", missed)],
        Replay => vec![("id", webhook), ("since", time("The earliest.")), ("until", time("Before this."))],
        Retry | Cancel => vec![("delivery_id", delivery)],
    };
    members.into_iter().map(|(name, schema)| (name.to_owned(), schema)).collect()
}

/// Does it. The thing is locked first, so that it stays what was looked at.
pub fn perform(call: &Call<'_>, action: Action, given: &mut Given<'_>) -> Result<Done, String> {
    match action {
        Pause | Resume | Replay => on_webhook(call, action, given),
        Retry | Cancel => on_delivery(call, action, given),
    }
}

fn on_webhook(call: &Call<'_>, action: Action, given: &mut Given<'_>) -> Result<Done, String> {
    const FIND: &str = include_str!("../../../sql/queries/tool_webhook.sql");
    let id = given.required("id")?;
    let id: i64 = id.parse().map_err(|_| "The argument id is not a number.")?;
    let missed = given.take("missed")?;
    // What is dropped is gone, so it must not be more than was shown. What is sent may be.
    let drops = missed.as_deref() == Some("drop");
    let tenant = call.key.tenant.as_deref();
    let find = || as_owner(|| sql::one::<String>(FIND, &[id.into(), tenant.into(), drops.into()]));
    let before = find().ok_or("There is no such webhook.")?;
    let result = match action {
        Pause => {
            let keep = given.take("keep_events")?;
            as_owner(|| sql::run("SELECT hydra.webhook_pause($1, $2::text::boolean)", &[id.into(), keep.into()]));
            find().unwrap_or_default()
        }
        Resume => {
            as_owner(|| sql::run("SELECT hydra.webhook_resume($1, $2)", &[id.into(), missed.into()]));
            find().unwrap_or_default()
        }
        _ => {
            const REPLAY: &str = "SELECT hydra.webhook_replay($1, $2::text::timestamptz, $3::text::timestamptz)";
            let [since, until] = [given.required("since")?, given.required("until")?];
            let count = as_owner(|| sql::one::<i64>(REPLAY, &[id.into(), since.into(), until.into()]));
            json!({"deliveries": count}).to_string()
        }
    };
    Ok(Done { before: Some(before), result })
}

fn on_delivery(call: &Call<'_>, action: Action, given: &mut Given<'_>) -> Result<Done, String> {
    const FIND: &str = include_str!("../../../sql/queries/tool_delivery.sql");
    let id = given.required("delivery_id")?;
    let bytes = hex::decode(id.replace('-', "")).ok().and_then(|bytes| <[u8; 16]>::try_from(bytes).ok());
    let id = Uuid::from_bytes(bytes.ok_or("The argument delivery_id is not a uuid.")?);
    let tenant = call.key.tenant.as_deref();
    let find = || as_owner(|| sql::one::<String>(FIND, &[id.into(), tenant.into(), (action == Retry).into()]));
    let before = find().ok_or(
        "There is no such delivery that has failed or waits, or has succeeded and is kept, or it is being sent at this moment.",
    )?;
    let result = match action {
        Retry => {
            as_owner(|| sql::run("SELECT hydra.webhook_retry($1)", &[id.into()]));
            find().unwrap_or_default()
        }
        _ => {
            as_owner(|| sql::run("SELECT hydra.webhook_cancel($1)", &[id.into()]));
            json!({"cancelled": true}).to_string()
        }
    };
    Ok(Done { before: Some(before), result })
}
