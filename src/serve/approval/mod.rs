//! What tools of MCP want to write, until somebody has confirmed it.
//!
//! A model may have read a text that tells it what to do. So a call of a tool that writes writes nothing: it is rehearsed, and its
//! *preview* is kept with it, as an *approval*. Who confirms it is said by the key: a person on a page (`console`), a
//! person whom the client asks (`elicit`), or the client itself (`client`). Whatever the mode, a person on the page and an
//! admin in SQL can confirm it too.
//!
//! A confirmation runs the tool again, as the key, and compares what it has done with what was shown. If that is the same, it
//! stays. If not, it is undone, and the new preview has to be confirmed. The row of the approval is locked meanwhile, so two
//! confirmations have one effect. In between nothing is locked.
//!
//! | file | what it does |
//! |---|---|
//! | `preview` | rehearses a tool |
//! | `comparison` | decides whether a tool does what was shown |
//! | `stored` | stores approvals |
//! | `decision` | confirms and refuses |
//! | `functions` | the SQL functions `hydra.approve` and `hydra.refuse` |

use serde_json::Value;

use super::identity::as_owner;
use super::problem::Problem;
use super::rest::write::rehearsal;
use super::sql;

mod comparison;
pub mod decision;
mod functions;
pub mod preview;
pub mod stored;

/// Who confirms or refuses.
pub struct Decider<'a> {
    /// Its name, for people.
    pub name: &'a str,
    /// Whose approvals it sees; `None`: all.
    pub tenant: Option<&'a str>,
}

/// What a confirmation has done. [`show`] returns the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Confirmed {
    /// It was written as it was shown.
    Done,
    /// Nothing was written: it would be something else now. The approval has a new preview and waits again.
    Changed,
    /// Nothing was written: the tool has failed, or cannot be previewed any more.
    Failed,
}

/// Returns the approvals of a tenant, or all: those that wait first, then the newest. Each has the members `id`, `key_id`,
/// `key_name`, `tenant_id`, `tool`, `arguments` (the beginning of the JSON text), `mode`, `state` (pending, done, refused, failed, expired), `created_at`,
/// `expires_at`, `decided_at` and `decided_by`.
pub fn list(tenant: Option<&str>) -> Value {
    const LIST: &str = include_str!("../../../sql/queries/list_approvals.sql");
    as_owner(|| sql::json(LIST, &[tenant.into()]))
}

/// Returns how many wait.
pub fn waiting(tenant: Option<&str>) -> i64 {
    // From the table, because of the index on those that wait: every page of an admin asks for it.
    const COUNT: &str = "SELECT pg_catalog.count(*) FROM hydra.approval AS a JOIN hydra.api_key AS k ON k.id = a.key_id
                         WHERE a.state = 'pending' AND a.expires_at > pg_catalog.now() AND ($1 IS NULL OR k.tenant_id = $1)";
    as_owner(|| sql::one(COUNT, &[tenant.into()])).unwrap_or_default()
}

/// Returns one, if it is of this tenant. It has the members that it has in the list, and besides `previews`, `result` (JSON text or
/// null), `error` (text or null) and `preview`: `before` (JSON text of the row or null), `result` (JSON text or null), `tables`
/// (`[{table, inserted, updated, deleted}]`), `webhooks` (`[{event, event_id, subscription_id, name, url, body}]`, only `event`
/// of those of other tenants), `webhook_count` (there can be more than are listed), `notices` (`[{severity, message, detail,
/// hint}]`), `note` (text or null: what was left out) and `varying` (JSON pointers of values that will be others when it is
/// written, such as numbers of a sequence).
pub fn show(id: i64, tenant: Option<&str>) -> Result<Value, Problem> {
    const SHOW: &str = include_str!("../../../sql/queries/show_approval.sql");
    let mut shown = as_owner(|| sql::json(SHOW, &[id.into(), tenant.into()]));
    if shown.is_null() {
        return Err(Problem::not_found());
    }
    let webhooks = shown["preview"]["webhooks"].take();
    shown["preview"]["webhooks"] = rehearsal::of_tenant(tenant, webhooks);
    Ok(shown)
}

/// Does what was shown, as the key. It fails with 404 if the decider sees no such approval, and with 409 if it was decided already or
/// has expired, or if the key may not do it any more; the detail says why.
pub fn confirm(id: i64, decider: &Decider<'_>) -> Result<Confirmed, Problem> {
    let stored = waiting_one(id, decider)?;
    Ok(match decision::confirm(&stored, decider.name).map_err(conflict)? {
        decision::Confirmed::Done(_) => Confirmed::Done,
        decision::Confirmed::Changed(..) => Confirmed::Changed,
        decision::Confirmed::Failed(_) => Confirmed::Failed,
    })
}

/// Refuses what was shown. It fails as [`confirm`] does.
pub fn refuse(id: i64, decider: &Decider<'_>) -> Result<(), Problem> {
    let stored = waiting_one(id, decider)?;
    stored.end("refused", decider.name, None, None);
    Ok(())
}

/// Locks an approval that can be decided.
fn waiting_one(id: i64, decider: &Decider<'_>) -> Result<stored::Stored, Problem> {
    let stored = stored::lock(id, decider.tenant).ok_or_else(Problem::not_found)?;
    match decision::why_not(&stored) {
        None => Ok(stored),
        Some(why) => Err(conflict(why)),
    }
}

fn conflict(why: impl Into<String>) -> Problem {
    Problem::conflict().with_detail(why)
}
