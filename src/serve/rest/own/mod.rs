//! Our own resources: webhooks, their deliveries, event types, inbound events and flows.
//!
//! The role of a key has no privileges on the views of the extension, which show everything to everybody who may read them. So
//! they are read as the owner of the extension: the scope of the key says what it may see, and its tenant which rows. No secret is
//! among the columns, and of the URL of a webhook only scheme, host and port, unless the key may manage webhooks; the same is true of
//! the address in an error about a refused host name.
//!
//! `openapi::own` lists the members of each, and `sql/queries/api_<name>.sql` returns them. All of these statements have the
//! same parameters: the tenant of the key or null, one id or null, the id after which to begin or null, the values of the two filters
//! or null, how many rows, and whether URLs and errors may be shown whole. They return ids as texts, and the rows as JSON, so that numbers
//! and inner JSON stay as they are.
//!
//! | file | what it does |
//! |---|---|
//! | `page` | reads the parameters of a list, and says where the next page begins |
//! | `webhooks` | creates, changes and removes webhooks, and what else can be done with one |
//! | `deliveries` | sends a delivery again, or cancels it |

use std::ops::ControlFlow;

use openapi::own::{self, Own};
use pgrx::prelude::*;

use super::representation::Representation;
use super::write::is_rehearsal;
use super::{Call, conditional, require};
use crate::serve::answer::Answer;
use crate::serve::identity::as_owner;
use crate::serve::problem::Problem;
use crate::serve::sql;
use crate::store::columns;
use page::Asked;

mod deliveries;
mod page;
mod webhooks;

pub use page::refuse_parameters;

columns!(RowColumns { key, row });

/// A row: its id, and its JSON.
struct Found {
    id: String,
    json: String,
}

/// Returns our resource of this name.
pub fn find(name: &str) -> Option<&'static Own> {
    own::ALL.into_iter().find(|own| own.name == name)
}

/// Answers a request whose path begins with that of the resource; `path` is the rest of it.
pub fn answer(call: &Call<'_>, own: &Own, path: &[&str]) -> Result<Answer, Problem> {
    match path {
        [] if call.request.reads() => {
            require_any(call, own.scopes)?;
            page::answer(call, own)
        }
        [id] if call.request.reads() => {
            require_any(call, own.scopes)?;
            refuse_parameters(call)?;
            one(call, own, id)
        }
        _ if own.name == own::WEBHOOKS.name => webhooks::answer(call, path),
        _ if own.name == own::WEBHOOK_DELIVERIES.name => deliveries::answer(call, path),
        [] | [_] => Err(Problem::method_not_allowed("GET, HEAD")),
        _ => Err(Problem::not_found()),
    }
}

/// Fails if the request is to be undone, for what cannot be: whoever sends it expects that nothing happens.
fn refuse_rehearsal(call: &Call<'_>) -> Result<(), Problem> {
    match is_rehearsal(call.request) {
        true => Err(Problem::bad_request().with_detail("Prefer: tx=rollback is not for this: it cannot be undone.")),
        false => Ok(()),
    }
}

/// Fails unless the key has one of these scopes.
fn require_any(call: &Call<'_>, scopes: &[&str]) -> Result<(), Problem> {
    match scopes.iter().any(|scope| require(call, scope).is_ok()) {
        true => Ok(()),
        false => require(call, scopes[0]),
    }
}

fn one(call: &Call<'_>, own: &Own, id: &str) -> Result<Answer, Problem> {
    let Representation { text, etag } = represented(call, own, id)?;
    Ok(match own.name == own::WEBHOOKS.name {
        // Its counts change without its ETag, so whoever has that does not have them.
        true => Answer::json_text(200, text).with_header("etag", etag),
        false => conditional(call, &etag, || Answer::json_text(200, text)),
    })
}

/// Returns the thing with this id, as it stands in a path.
fn represented(call: &Call<'_>, own: &Own, id: &str) -> Result<Representation, Problem> {
    let text = found(call, own, id)?;
    Ok(match own.name == own::WEBHOOKS.name {
        true => Representation { etag: webhooks::etag(&text), text },
        false => Representation::of(text),
    })
}

/// Returns the JSON of the thing with this id, as it stands in a path.
fn found(call: &Call<'_>, own: &Own, id: &str) -> Result<String, Problem> {
    let id = page::id(own, id).ok_or_else(Problem::not_found)?;
    let mut found = as_owner(|| rows(call, own, &Asked::one(&id))).pop().ok_or_else(Problem::not_found)?;
    if let Some((member, query)) = more_of_one(own) {
        let arguments = [id.as_str().into(), may_manage(call).into()];
        let more = as_owner(|| sql::one::<String>(query, &arguments)).unwrap_or_else(|| "null".into());
        found.json.truncate(found.json.len() - 1);
        found.json += &format!(",\"{member}\":{more}}}");
    }
    Ok(found.json)
}

/// Returns the member that only the answer about one thing has, and the statement that returns it.
fn more_of_one(own: &Own) -> Option<(&'static str, &'static str)> {
    match own.name {
        "webhook_deliveries" => Some(("history", include_str!("../../../../sql/queries/api_delivery_history.sql"))),
        "inbound_events" => Some(("payload", include_str!("../../../../sql/queries/api_inbound_payload.sql"))),
        _ => None,
    }
}

fn statement(own: &Own) -> &'static str {
    match own.name {
        "webhooks" => include_str!("../../../../sql/queries/api_webhooks.sql"),
        "webhook_deliveries" => include_str!("../../../../sql/queries/api_webhook_deliveries.sql"),
        "event_types" => include_str!("../../../../sql/queries/api_event_types.sql"),
        "inbound_events" => include_str!("../../../../sql/queries/api_inbound_events.sql"),
        "flows" => include_str!("../../../../sql/queries/api_flows.sql"),
        name => error!("there is no statement for {name}"),
    }
}

/// Whether the key sees what may be secret.
fn may_manage(call: &Call<'_>) -> bool {
    require(call, own::MANAGES_WEBHOOKS).is_ok()
}

fn rows(call: &Call<'_>, own: &Own, asked: &Asked) -> Vec<Found> {
    let [first, second] = &asked.filters;
    let arguments = [
        call.key.tenant.as_deref().into(),
        asked.id.as_deref().into(),
        asked.after.as_deref().into(),
        first.as_deref().into(),
        second.as_deref().into(),
        asked.limit.into(),
        may_manage(call).into(),
    ];
    let mut found = Vec::new();
    // All in one batch, with a plan for these values: one for any would read everything in order to find one thing by its id.
    sql::batches(statement(own), &arguments, asked.limit as usize + 1, |rows| {
        let columns = RowColumns::of(&rows);
        found.extend(rows.map(|row| Found { id: row.value(columns.key), json: row.value(columns.row) }));
        ControlFlow::Continue(())
    });
    found
}
