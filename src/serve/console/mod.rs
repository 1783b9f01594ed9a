//! Answers requests of the settings pages: JSON, which the gateway makes a page of.
//!
//! What a visitor does is a call of the same SQL functions that people use, as the role of the visitor: who may not do
//! something in SQL may not do it here. A visitor with a tenant reaches only what belongs to that tenant, which SQL alone
//! would not ensure.
//!
//! | file | what it does |
//! |---|---|
//! | `login` | begins and ends the session of a visitor |
//! | `visit` | what all pages have in common: who visits, and what the visitor may do |
//! | `fields` | reads the fields of forms, and says which of them is refused |
//! | `webhooks` | lists and shows webhooks, and does what their buttons say |
//! | `webhook_form` | creates and changes webhooks |
//! | `preview` | shows what would be sent for an event |
//! | `inbound` | adapters and the events that came in |
//! | `flows` | flows and their runs |
//! | `approvals` | what tools want to write, and the decision about it |
//! | `event_types`, `api_keys`, `status` | the other pages |

use std::time::Duration;

use super::answer::Answer;
use super::problem::Problem;
use super::request::Request;
use super::{identity, sql};
use crate::backend::fixed_settings::with_fixed_settings;
use crate::tables;
use visit::Visit;

mod api_keys;
mod approvals;
mod event_types;
mod fields;
mod flows;
mod inbound;
mod login;
mod preview;
mod status;
mod visit;
mod webhook_form;
mod webhooks;

/// A test request may take as long as the subscription allows, and this.
const REST_OF_TEST: Duration = Duration::from_secs(2);
const LONGEST_TEST: Duration = Duration::from_secs(60);

/// Returns how long a request may take.
pub fn limit(request: &Request) -> Duration {
    const TIMEOUT: &str = "SELECT extract(epoch FROM s.timeout)::double precision
                           FROM hydra.effective_subscription AS s WHERE s.id = $1";
    match request.segments()[..] {
        ["settings", "webhooks", id, "test"] if request.method == "POST" => {
            let timeout = number(id).ok().and_then(|id| tables::as_owner(|| sql::one::<f64>(TIMEOUT, &[id.into()])));
            timeout.map_or(super::LIMIT, |seconds| LONGEST_TEST.min(Duration::from_secs_f64(seconds) + REST_OF_TEST))
        }
        _ => super::LIMIT,
    }
}

pub fn answer(request: &Request) -> Result<Answer, Problem> {
    match request.path.as_str() {
        "/login" => return login::answer(request),
        "/logout" => return login::end(request),
        _ => {}
    }
    let visitor = identity::visitor(request)?;
    visitor.act(|| with_fixed_settings(|| route(&Visit::new(request, &visitor)?)))
}

fn route(visit: &Visit<'_>) -> Result<Answer, Problem> {
    let (path, reads) = (visit.request.segments(), visit.request.reads());
    let Some(path) = path.strip_prefix(&["settings"]) else { return Err(Problem::not_found()) };
    let writes = visit.request.method == "POST";
    if !reads && !writes {
        return Err(Problem::method_not_allowed("GET, POST"));
    }
    if writes {
        visit.require_manager()?;
    }
    match (path, writes) {
        ([] | [""], false) => Ok(Answer::see_other("/settings/webhooks")),
        (["webhooks"], false) => webhooks::list(visit),
        (["webhooks"], true) => webhook_form::create(visit),
        (["webhooks", "new"], false) => webhook_form::blank(visit),
        (["webhooks", id], false) => webhooks::show(visit, number(id)?, None),
        (["webhooks", id], true) => webhook_form::update(visit, number(id)?),
        (["webhooks", id, "edit"], false) => webhook_form::filled(visit, number(id)?),
        (["webhooks", id, "preview"], _) => preview::answer(visit, number(id)?),
        (["webhooks", id, "rotate"], false) => webhooks::before_rotation(visit, number(id)?),
        (["webhooks", id, "rotate"], true) => webhooks::rotate(visit, number(id)?),
        (["webhooks", id, "delete"], false) => webhooks::before_deletion(visit, number(id)?),
        (["webhooks", id, action], true) => webhooks::act(visit, number(id)?, action),
        (["webhooks", id, "deliveries", delivery, action], true) => {
            webhooks::act_on_delivery(visit, number(id)?, delivery, action)
        }
        (["inbound-adapters", rest @ ..], _) => inbound::route(visit, rest, writes),
        (["flows", rest @ ..], _) => flows::route(visit, rest, writes),
        (["approvals", rest @ ..], _) => approvals::route(visit, rest, writes),
        (["event-types"], false) => event_types::list(visit),
        (["event-types"], true) => event_types::register(visit),
        (["api-keys"], false) => api_keys::list(visit),
        (["api-keys"], true) => api_keys::create(visit),
        (["api-keys", "new"], false) => api_keys::blank(visit),
        (["api-keys", id, "revoke"], false) => api_keys::before_revocation(visit, number(id)?),
        (["api-keys", id, "revoke"], true) => api_keys::revoke(visit, number(id)?),
        (["api-keys", id, "rotate"], false) => api_keys::before_rotation(visit, number(id)?),
        (["api-keys", id, "rotate"], true) => api_keys::rotate(visit, number(id)?),
        (["status"], false) => status::show(visit),
        // What has a button has no page.
        (["webhooks", _, "pause" | "resume" | "test" | "retry" | "end-overlap"], false)
        | (["webhooks", _, "deliveries", _, "retry" | "cancel"], false) => Err(Problem::method_not_allowed("POST")),
        (["status" | "webhooks", ..] | [] | [""], true) => Err(Problem::method_not_allowed("GET")),
        _ => Err(Problem::not_found()),
    }
}

/// Returns the number of a thing, as it stands in a path.
fn number(text: &str) -> Result<i64, Problem> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| digits).ok_or_else(Problem::not_found)
}
