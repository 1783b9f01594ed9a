//! Lists and shows what tools want to write, and does what the buttons say.
//!
//! A form says which preview its visitor has seen. If there is a newer one, because another person has tried to approve it,
//! nothing is done and the newer one is shown.

use serde_json::{Value, json};

use super::number;
use super::visit::Visit;
use crate::serve::answer::Answer;
use crate::serve::approval::{self, Confirmed, Decider};
use crate::serve::identity::as_owner;
use crate::serve::problem::Problem;
use crate::serve::sql;

/// Answers a request whose path begins with `/settings/approvals`.
pub fn route(visit: &Visit<'_>, path: &[&str], writes: bool) -> Result<Answer, Problem> {
    if !visit.may_see_approvals {
        return Err(Problem::forbidden().with_detail("Your role may not see approvals."));
    }
    match (path, writes) {
        ([], false) => Ok(visit.page(200, "approvals", json!({"approvals": approval::list(visit.tenant())}))),
        ([id], false) => show(visit, number(id)?, 200, false, None),
        ([id, "approve"], true) => approve(visit, number(id)?),
        ([id, "refuse"], true) => refuse(visit, number(id)?),
        ([] | [_], true) => Err(Problem::method_not_allowed("GET")),
        ([_, "approve" | "refuse"], false) => Err(Problem::method_not_allowed("POST")),
        _ => Err(Problem::not_found()),
    }
}

fn show(visit: &Visit<'_>, id: i64, status: i32, changed: bool, refusal: Option<&Problem>) -> Result<Answer, Problem> {
    let approval = approval::show(id, visit.tenant())?;
    let refusal = refusal.map(|problem| {
        json!({"message": problem.message.as_ref().or(problem.detail.as_ref()), "hint": problem.hint,
               "detail": problem.message.as_ref().and(problem.detail.as_ref())})
    });
    Ok(visit.page(status, "approval", json!({"approval": approval, "changed": changed, "refusal": refusal})))
}

fn approve(visit: &Visit<'_>, id: i64) -> Result<Answer, Problem> {
    let form = visit.request.form()?;
    let seen = form.get("previews").and_then(|previews| previews.parse().ok());
    let latest = lock(visit, id)?;
    if latest.is_some() && seen != latest {
        return show(visit, id, 409, true, None);
    }
    match approval::confirm(id, &decider(visit)) {
        Ok(Confirmed::Done) => Ok(Answer::see_other(format!("/settings/approvals/{id}?done=approved"))),
        Ok(Confirmed::Failed) => Ok(Answer::see_other(format!("/settings/approvals/{id}"))),
        Ok(Confirmed::Changed) => show(visit, id, 409, true, None),
        Err(problem) => explain(visit, id, problem),
    }
}

/// What is refused does not depend on what was seen of it.
fn refuse(visit: &Visit<'_>, id: i64) -> Result<Answer, Problem> {
    match approval::refuse(id, &decider(visit)) {
        Ok(()) => Ok(Answer::see_other(format!("/settings/approvals/{id}?done=refused"))),
        Err(problem) => explain(visit, id, problem),
    }
}

/// Shows what has become of it if it cannot be decided any more.
fn explain(visit: &Visit<'_>, id: i64, problem: Problem) -> Result<Answer, Problem> {
    if problem.status != 409 {
        return Err(problem);
    }
    show(visit, id, 409, false, Some(&problem))
}

fn decider<'a>(visit: &'a Visit<'_>) -> Decider<'a> {
    Decider { name: &visit.visitor.role_name, tenant: visit.tenant() }
}

/// Locks an approval of the visitor's, and returns how often it was previewed; `None`: it does not wait any more.
fn lock(visit: &Visit<'_>, id: i64) -> Result<Option<i32>, Problem> {
    const LOCK: &str = "SELECT pg_catalog.jsonb_build_object('previews', a.previews, 'waits', a.state = 'pending' AND a.expires_at > pg_catalog.now())
                        FROM hydra.approval AS a
                        JOIN hydra.api_key AS k ON k.id = a.key_id
                        WHERE a.id = $1 AND ($2 IS NULL OR k.tenant_id = $2)
                        FOR UPDATE OF a";
    let locked: Value = as_owner(|| sql::json(LOCK, &[id.into(), visit.tenant().into()]));
    if locked.is_null() {
        return Err(Problem::not_found());
    }
    let previews = locked["previews"].as_i64().and_then(|previews| previews.try_into().ok());
    Ok(previews.filter(|_| locked["waits"] == true))
}
