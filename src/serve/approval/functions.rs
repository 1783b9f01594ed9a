//! The SQL functions that confirm and refuse.

use std::ffi::CStr;

use pgrx::prelude::*;

use super::{Confirmed, Decider, confirm, refuse};
use crate::backend::refuse::refuse as fail;
use crate::backend::{deadline, extension_lock};
use crate::serve::LIMIT;
use crate::serve::problem::Problem;

/// Confirms what a tool would write. Returns `done`, `changed` or `failed`; `hydra.approvals` has the rest.
#[pg_extern]
#[search_path(pg_catalog, pg_temp)]
fn approve(id: Option<i64>) -> &'static str {
    extension_lock::hold();
    let caller = current_user();
    let confirm = |id| deadline::with_deadline(LIMIT, || confirm(id, &decider(&caller)));
    match id.map_or_else(|| Err(Problem::not_found()), confirm) {
        Ok(Confirmed::Done) => "done",
        Ok(Confirmed::Changed) => "changed",
        Ok(Confirmed::Failed) => "failed",
        Err(problem) => raise(id, &problem),
    }
}

/// Refuses what a tool would write.
#[pg_extern(name = "refuse")]
#[search_path(pg_catalog, pg_temp)]
fn refuse_approval(id: Option<i64>) {
    extension_lock::hold();
    let refused = id.map_or_else(|| Err(Problem::not_found()), |id| refuse(id, &decider(&current_user())));
    refused.unwrap_or_else(|problem| raise(id, &problem));
}

/// An admin sees the approvals of all tenants.
fn decider(name: &str) -> Decider<'_> {
    Decider { name, tenant: None }
}

fn current_user() -> String {
    // SAFETY: the name of a role that exists, as a C string.
    unsafe { CStr::from_ptr(pg_sys::GetUserNameFromId(pg_sys::GetUserId(), false)) }.to_string_lossy().into_owned()
}

fn raise(id: Option<i64>, problem: &Problem) -> ! {
    let id = id.map_or_else(|| "null".to_owned(), |id| id.to_string());
    let hint = "hydra.approvals lists approvals.";
    match &problem.detail {
        Some(why) => fail(
            PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
            format!("approval {id} cannot be decided"),
            why,
            hint,
        ),
        None => fail(
            PgSqlErrorCode::ERRCODE_UNDEFINED_OBJECT,
            format!("approval {id} does not exist"),
            "No approval has this id.",
            hint,
        ),
    }
}
