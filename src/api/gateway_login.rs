//! Sets the password with which the gateway that the server runs logs in.

use std::ffi::CString;

use pgrx::prelude::*;

use crate::backend::refuse::refuse;

/// Gives the role `hydra_gateway_embedded` this SCRAM verifier, as `wire::scram` computes it. The worker calls it at each
/// start of the gateway.
///
/// The statement ALTER ROLE would contain the verifier, and extensions such as pg_stat_statements keep statements. So the
/// function of Postgres that executes the statement is called directly.
#[pg_extern(strict, security_definer)]
#[search_path(pg_catalog, pg_temp)]
fn _set_gateway_verifier(verifier: &str) {
    let verifier = CString::new(verifier).ok().filter(|text| text.to_bytes().starts_with(b"SCRAM-SHA-256$"));
    let Some(verifier) = verifier else {
        refuse(
            PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE,
            "not a SCRAM verifier",
            "A verifier begins with SCRAM-SHA-256$.",
            "The extension computes it.",
        )
    };
    // SAFETY: a statement made as the parser makes it, of copies that live as long as the transaction.
    unsafe {
        let copy = |text: &std::ffi::CStr| pg_sys::pstrdup(text.as_ptr());
        let mut role = PgBox::<pg_sys::RoleSpec>::alloc_node(pg_sys::NodeTag::T_RoleSpec);
        role.roletype = pg_sys::RoleSpecType::ROLESPEC_CSTRING;
        role.rolename = copy(c"hydra_gateway_embedded");
        let password = pg_sys::makeDefElem(copy(c"password"), pg_sys::makeString(copy(&verifier)).cast(), -1);
        let mut statement = PgBox::<pg_sys::AlterRoleStmt>::alloc_node(pg_sys::NodeTag::T_AlterRoleStmt);
        statement.role = role.into_pg();
        statement.options = pg_sys::lappend(std::ptr::null_mut(), password.cast());
        statement.action = 1;
        pg_sys::AlterRole(std::ptr::null_mut(), statement.into_pg());
    }
}
