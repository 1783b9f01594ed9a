//! Finds out who asks, and runs the request as the role of the credential.
//!
//! The role is switched in C and not with SET ROLE, so that SQL that runs as the role cannot leave it: while it is
//! switched in this way, Postgres refuses every change of `role` and `session_authorization`.

use pgrx::prelude::*;

use super::context::{self, Context};
use super::problem::Problem;
use super::request::Request;
use super::{acting_role, deferrable, session, sql};
use crate::backend::fixed_settings::with_fixed_settings;
use crate::backend::refuse::refuse;
use crate::backend::search_path::with_search_path;
use crate::store::{Statement, columns};
use crate::tables;

columns!(KeyColumns { key_id, tenant_id, role_id, role_name, scopes, approval, requests_per_minute });
columns!(VisitorColumns { tenant_id, role_id, role_name, expires_at });

/// Where code of the application looks up names without a schema, and where our own statements do.
pub const APPLICATION: &str = "pg_catalog, public, pg_temp";
pub const OURS: &str = "pg_catalog, pg_temp";

/// An API key in use.
pub struct ApiKey {
    pub id: i64,
    pub tenant: Option<String>,
    role: pg_sys::Oid,
    pub role_name: String,
    pub scopes: Vec<String>,
    pub approval: Approval,
    pub requests_per_minute: i32,
}

/// Who confirms what a tool would write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Approval {
    /// A person on the page.
    Console,
    /// A person whom the client asks.
    Elicit,
    /// The client itself.
    Client,
}

/// A visitor of the settings pages.
#[derive(Clone)]
pub struct Visitor {
    pub tenant: Option<String>,
    role: pg_sys::Oid,
    pub role_name: String,
    /// RFC 3339.
    pub expires_at: String,
}

/// Returns the API key of the request.
pub fn api_key(request: &Request) -> Result<ApiKey, Problem> {
    let hash = request.credential.ok_or_else(Problem::unauthenticated)?;
    find_key(Some(hash.to_vec()), None).ok_or_else(Problem::unauthenticated)
}

/// Returns the API key with this number, if it is in use.
pub fn api_key_of_id(id: i64) -> Option<ApiKey> {
    find_key(None, Some(id))
}

fn find_key(hash: Option<Vec<u8>>, id: Option<i64>) -> Option<ApiKey> {
    thread_local! {
        static FIND: Statement = const { Statement::new(include_str!("../../sql/queries/find_api_key.sql")) };
    }
    let found = tables::as_owner(|| {
        Spi::connect(|client| {
            FIND.with(|find| {
                let mut rows = find.read(client, &[hash.into(), id.into()]);
                let columns = KeyColumns::of(&rows);
                rows.next().map(|row| ApiKey {
                    id: row.value(columns.key_id),
                    tenant: row.maybe(columns.tenant_id),
                    role: row.value(columns.role_id),
                    role_name: row.value(columns.role_name),
                    scopes: row.value(columns.scopes),
                    approval: Approval::parse(row.text(columns.approval)),
                    requests_per_minute: row.value(columns.requests_per_minute),
                })
            })
        })
    });
    found.filter(|key| acting_role::may_act(key.role))
}

/// Returns the visitor whose session the request belongs to.
pub fn visitor(request: &Request) -> Result<Visitor, Problem> {
    thread_local! {
        static FIND: Statement = const { Statement::new(include_str!("../../sql/queries/find_console_session.sql")) };
    }
    let hash = request.credential.ok_or_else(Problem::unauthenticated)?;
    let found = tables::as_owner(|| {
        Spi::connect(|client| {
            FIND.with(|find| {
                let mut rows = find.read(client, &[hash.to_vec().into()]);
                let columns = VisitorColumns::of(&rows);
                rows.next().map(|row| Visitor {
                    tenant: row.maybe(columns.tenant_id),
                    role: row.value(columns.role_id),
                    role_name: row.value(columns.role_name),
                    expires_at: row.value(columns.expires_at),
                })
            })
        })
    });
    found.filter(|visitor| acting_role::may_act(visitor.role)).ok_or_else(Problem::unauthenticated)
}

impl Approval {
    fn parse(name: &str) -> Self {
        match name {
            "elicit" => Self::Elicit,
            "client" => Self::Client,
            // A person is asked whenever it is in doubt.
            _ => Self::Console,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Console => "console",
            Self::Elicit => "elicit",
            Self::Client => "client",
        }
    }
}

impl ApiKey {
    /// Runs `body` as a request with this key.
    pub fn act<R>(&self, body: impl FnOnce() -> R) -> R {
        let context = Context { tenant: self.tenant.clone(), key: Some(self.id), scopes: self.scopes.clone() };
        act(self.role, APPLICATION, context, body)
    }
}

impl Visitor {
    /// Runs `body` as a request of this visitor.
    pub fn act<R>(&self, body: impl FnOnce() -> R) -> R {
        act(self.role, OURS, Context { tenant: self.tenant.clone(), ..Context::default() }, body)
    }
}

/// Runs `body` as the owner of the extension. It sees no name of the application, and values have the same form for all.
pub fn as_owner<R>(body: impl FnOnce() -> R) -> R {
    with_search_path(Some(OURS), || tables::as_owner(|| with_fixed_settings(body)))
}

/// Runs `body` as `role`, with everything that it has put off until the end of the transaction.
pub fn act<R>(role: pg_sys::Oid, path: &str, context: Context, body: impl FnOnce() -> R) -> R {
    let whole = || {
        let result = body();
        // SAFETY: reads a variable of this process.
        if !unsafe { pg_sys::XactReadOnly } {
            fire_deferred();
        }
        session::close_cursors();
        result
    };
    context::with(context, || with_search_path(Some(path), || tables::as_role(role, whole)))
}

/// Fires the triggers that are deferred to the end of the transaction. Until Postgres 18 they would be executed as the
/// role that logged in.
pub fn fire_deferred() {
    sql::run("SET CONSTRAINTS ALL IMMEDIATE", &[]);
    // A trigger can set constraints to deferred again. What it then defers must not be left for the end either.
    if deferrable::is_pending() {
        refuse(
            PgSqlErrorCode::ERRCODE_INSUFFICIENT_PRIVILEGE,
            "a trigger was deferred again while deferred triggers were fired",
            "Nothing of a request may run after the request has ended.",
            "Remove SET CONSTRAINTS from the functions of deferred triggers.",
        );
    }
}
