//! Creates, changes and removes webhooks, and does what else can be done with one.
//!
//! Each is a call of the function that people use in SQL, as the owner of the extension: the scope of the key says that it may, and
//! its tenant with which webhooks. A webhook is locked first, so that it stays what was looked at.
//!
//! The ETag of a webhook is that of its settings and its state, without what deliveries change: otherwise a webhook that is in
//! use could not be changed with If-Match.
//!
//! | file | what it does |
//! |---|---|
//! | `given` | reads the settings in a body |
//! | `refusal` | makes a problem of an error of our functions |
//! | `secret` | shows a signing secret once |
//! | `test` | makes a test request |

use openapi::own::settings::{PAUSING, RESUMING, ROTATING};
use openapi::own::{COUNTED, MANAGES_WEBHOOKS, WEBHOOKS};
use pgrx::JsonB;
use serde_json::{Map, Value, json};

use super::{as_owner, page, refuse_parameters, represented};
use crate::serve::answer::Answer;
use crate::serve::problem::Problem;
use crate::serve::rest::representation::{self, Representation};
use crate::serve::rest::write::{Written, attempted, is_rehearsal, once, rehearsal, target};
use crate::serve::rest::{Call, require};
use crate::serve::{refused, sql};

pub mod given;
mod refusal;
mod secret;
mod test;

const CREATE: &str = include_str!("../../../../../sql/queries/create_webhook.sql");
const UPDATE: &str = include_str!("../../../../../sql/queries/update_webhook.sql");
const LOCK: &str = include_str!("../../../../../sql/queries/lock_webhook.sql");
const ROTATE: &str = include_str!("../../../../../sql/queries/rotate_secret.sql");

/// What a request does. Ids are as they stand in the path.
enum Write<'a> {
    Create,
    Change(&'a str),
    Remove(&'a str),
    Pause(&'a str),
    Resume(&'a str),
    Rotate(&'a str),
}

/// What was written, and the secret that was made for it.
struct Done {
    written: Written,
    secret: Option<String>,
}

impl From<Written> for Done {
    fn from(written: Written) -> Self {
        Self { written, secret: None }
    }
}

/// Answers what is not a read. `path` is what follows the name of the resource.
pub fn answer(call: &Call<'_>, path: &[&str]) -> Result<Answer, Problem> {
    let write = match (path, call.request.method.as_str()) {
        ([], "POST") => Write::Create,
        ([id], "PATCH") => Write::Change(id),
        ([id], "DELETE") => Write::Remove(id),
        ([id, "pause"], "POST") => Write::Pause(id),
        ([id, "resume"], "POST") => Write::Resume(id),
        ([id, "rotate"], "POST") => Write::Rotate(id),
        ([id, "test"], "POST") => {
            require_manager(call)?;
            return test::answer(call, id);
        }
        ([], _) => return Err(Problem::method_not_allowed("GET, HEAD, POST")),
        ([_], _) => return Err(Problem::method_not_allowed("GET, HEAD, PATCH, DELETE")),
        ([_, "pause" | "resume" | "rotate" | "test"], _) => return Err(Problem::method_not_allowed("POST")),
        _ => return Err(Problem::not_found()),
    };
    require_manager(call)?;
    match is_rehearsal(call.request) {
        // The secret of a rehearsal signs nothing.
        true => rehearsal::answer(call, || perform(call, &write).map(|done| done.written)),
        false => once(call, || perform(call, &write).map(answered)),
    }
}

fn require_manager(call: &Call<'_>) -> Result<(), Problem> {
    require(call, MANAGES_WEBHOOKS)?;
    refuse_parameters(call)
}

fn answered(done: Done) -> Answer {
    let answer = done.written.answer(WEBHOOKS.name);
    match done.secret {
        Some(secret) => secret::shown_once(answer, &secret),
        None => answer,
    }
}

/// Does what a request says. If it is refused, nothing of it stays.
fn perform(call: &Call<'_>, write: &Write<'_>) -> Result<Done, Problem> {
    match *write {
        Write::Create => create(call),
        Write::Change(id) => change(call, id),
        Write::Remove(id) => with_own(call, id, refused::WEBHOOK, |id| {
            as_owner(|| sql::run("SELECT hydra.webhook_delete($1)", &[id.into()]));
            Ok(Written::Removed.into())
        }),
        Write::Pause(id) => {
            let given = given::optional(call, &PAUSING)?;
            let keep = given.values.get("keep_events").and_then(Value::as_bool);
            with_own(call, id, refused::WEBHOOK, |id| {
                as_owner(|| sql::run("SELECT hydra.webhook_pause($1, $2)", &[id.into(), keep.into()]));
                changed(call, id)
            })
        }
        Write::Resume(id) => {
            let given = given::optional(call, &RESUMING)?;
            let missed = given.text("missed");
            with_own(call, id, refusal::RESUMING, |id| {
                as_owner(|| sql::run("SELECT hydra.webhook_resume($1, $2)", &[id.into(), missed.into()]));
                changed(call, id)
            })
        }
        Write::Rotate(id) => {
            let given = given::optional(call, &ROTATING)?;
            let overlap = given.text("overlap").unwrap_or("0 seconds");
            with_own(call, id, refused::ROTATION, |id| {
                let secret = as_owner(|| sql::one::<String>(ROTATE, &[id.into(), overlap.into()]));
                Ok(Done { secret, ..changed(call, id)? })
            })
        }
    }
}

fn create(call: &Call<'_>) -> Result<Done, Problem> {
    let mut values = given::new_webhook(call)?.values;
    if let Some(tenant) = &call.key.tenant {
        values.insert("tenant_id".into(), json!(tenant));
    }
    let create = || -> Result<Done, Problem> {
        let made = as_owner(|| sql::json(CREATE, &[JsonB(Value::Object(values)).into()]));
        let id = made["id"].as_i64().unwrap_or_default();
        let secret = made["secret"].as_str().map(str::to_owned);
        Ok(Done { written: Written::Created(id.to_string(), shown(call, id)?), secret })
    };
    attempted(create, |error| refusal::problem(refused::WEBHOOK, error))
}

fn change(call: &Call<'_>, id: &str) -> Result<Done, Problem> {
    let given::Given { mut values, reset } = given::changes(call)?;
    with_own(call, id, refused::WEBHOOK, |id| {
        if !(values.is_empty() && reset.is_empty()) {
            values.insert("id".into(), json!(id));
            values.insert("reset".into(), json!(reset));
            as_owner(|| sql::run(UPDATE, &[JsonB(Value::Object(values)).into()]));
        }
        changed(call, id)
    })
}

/// Does something with the webhook with this id. `fields` says which field an error is about.
fn with_own(
    call: &Call<'_>,
    id: &str,
    fields: refused::Fields,
    body: impl FnOnce(i64) -> Result<Done, Problem>,
) -> Result<Done, Problem> {
    attempted(|| body(lock(call, id)?), |error| refusal::problem(fields, error))
}

/// Locks a webhook that the key may change. Fails unless it is the one that the request means.
fn lock(call: &Call<'_>, id: &str) -> Result<i64, Problem> {
    let id = number(id)?;
    let locked: Option<String> = as_owner(|| sql::one(LOCK, &[id.into(), call.key.tenant.as_deref().into()]));
    locked.ok_or_else(Problem::not_found)?;
    if target::is_conditional(call.request) {
        target::check(call.request, &shown(call, id)?)?;
    }
    Ok(id)
}

fn number(id: &str) -> Result<i64, Problem> {
    page::id(&WEBHOOKS, id).and_then(|id| id.parse().ok()).ok_or_else(Problem::not_found)
}

fn changed(call: &Call<'_>, id: i64) -> Result<Done, Problem> {
    Ok(Written::Changed(shown(call, id)?).into())
}

fn shown(call: &Call<'_>, id: i64) -> Result<Representation, Problem> {
    represented(call, &WEBHOOKS, &id.to_string())
}

/// Returns the ETag of a webhook, given its JSON.
pub fn etag(json: &str) -> String {
    let mut webhook: Map<String, Value> = serde_json::from_str(json).expect("an object");
    webhook.retain(|name, _| !COUNTED.contains(&name.as_str()));
    representation::etag(&Value::Object(webhook).to_string())
}
