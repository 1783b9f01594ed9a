//! Answers `Prefer: tx=rollback`: does what the request says, undoes it, and says what would happen.
//!
//! The bodies of webhooks can show more of a row than the resource does, so they are shown to keys with the scope
//! `webhooks:read`, and to a key with a tenant only those of its own subscriptions. Other keys learn which events there are.

use serde_json::{Value, json};

use super::Written;
use crate::backend::deadline;
use crate::backend::subtransaction::must_end;
use crate::serve::answer::Answer;
use crate::serve::problem::{Problem, Texts};
use crate::serve::rehearse::rehearse;
use crate::serve::request::Request;
use crate::serve::rest::Call;
use crate::serve::sql;
use crate::tables;

const PREFERENCE: &str = "tx=rollback";
const SHOWS_WEBHOOKS: &str = "webhooks:read";

/// Whether the request is to be undone.
pub fn is_wanted(request: &Request) -> bool {
    let headers = request.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("prefer"));
    let mut preferences = headers.flat_map(|(_, value)| value.split(','));
    preferences.any(|preference| {
        let preference = preference.split(';').next().unwrap_or_default();
        let preference: String = preference.chars().filter(|sign| !matches!(sign, ' ' | '\t' | '"')).collect();
        preference.eq_ignore_ascii_case(PREFERENCE)
    })
}

pub fn answer(call: &Call<'_>, perform: impl FnOnce() -> Result<Written, Problem>) -> Result<Answer, Problem> {
    let (performed, effects) = match rehearse(perform) {
        Ok(rehearsed) => rehearsed,
        Err(error) if must_end(&error) || deadline::is_over() => error.rethrow(),
        Err(error) => return Err(Problem::of(&error, Texts::Foreign)),
    };
    let result = performed?.into_result();
    let mut effects = effects.into_json();
    let webhooks = shown(call, effects["webhooks"].take());
    // The result is not parsed: its bytes are those that the request would get.
    let body = format!(
        "{{\"result\":{result},\"tables\":{},\"webhooks\":{webhooks},\"notices\":{}}}",
        effects["tables"], effects["notices"]
    );
    Ok(Answer::json_text(200, body).with_header("preference-applied", PREFERENCE))
}

/// Returns the webhooks without what the key may not see.
pub fn shown(call: &Call<'_>, webhooks: Value) -> Value {
    let has_scope = call.key.scopes.iter().any(|scope| scope == SHOWS_WEBHOOKS);
    match has_scope {
        true => of_tenant(call.key.tenant.as_deref(), webhooks),
        false => webhooks.as_array().into_iter().flatten().map(without_body).collect(),
    }
}

/// Returns the webhooks without what is sent to subscriptions of other tenants; `None`: all are shown.
pub fn of_tenant(tenant: Option<&str>, mut webhooks: Value) -> Value {
    const OWN: &str = "SELECT s.id FROM hydra.subscription AS s WHERE $1 IS NULL OR s.tenant_id = $1";
    let own: Vec<i64> = match webhooks.as_array().is_some_and(|webhooks| !webhooks.is_empty()) {
        true => {
            tables::as_owner(|| sql::rows(OWN, &[tenant.into()], |row| row.first())).into_iter().flatten().collect()
        }
        false => Vec::new(),
    };
    for webhook in webhooks.as_array_mut().into_iter().flatten() {
        if !webhook["subscription_id"].as_i64().is_some_and(|id| own.contains(&id)) {
            *webhook = without_body(webhook);
        }
    }
    webhooks
}

fn without_body(webhook: &Value) -> Value {
    json!({"event": webhook["event"]})
}
