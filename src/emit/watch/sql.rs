//! Builds the queries that evaluate the expressions of a watch.
//!
//! Each expression must have one value per row. Postgres enforces that: it allows neither aggregates nor window
//! functions in VALUES, and no set-returning functions in COALESCE.

use super::definition::Expressions;
use super::table::Table;

/// The columns of a result: the number of the row from 1, its tenant and its entity.
pub const NUMBER: i32 = 1;
pub const TENANT: i32 = 2;
pub const ENTITY: i32 = 3;

/// Returns the query for one row. `$1` is the new row, `$2` the old one.
pub fn for_one_row(table: Table, expressions: &Expressions<&str>) -> String {
    let new = table.has_new.then_some("(SELECT ($1).*) AS new");
    let old = table.has_old.then_some("(SELECT ($2).*) AS old");
    query("1", &[new, old], &whole_rows(table, "$1", "$2"), expressions)
}

/// Returns the query for many rows. `$1` is an array of the new rows, `$2` one of the old rows. Set-returning functions
/// in one select list return their rows in step, so that each new row is paired with its old row and its number.
pub fn for_many_rows(table: Table, expressions: &Expressions<&str>) -> String {
    let rows = format!(
        "(SELECT pg_catalog.unnest($1) AS hydra_new, pg_catalog.unnest($2) AS hydra_old, \
         pg_catalog.generate_series(1, pg_catalog.cardinality({})) AS hydra_number) AS hydra_all",
        if table.has_new { "$1" } else { "$2" }
    );
    let new = table.has_new.then_some("LATERAL (SELECT (hydra_all.hydra_new).*) AS new");
    let old = table.has_old.then_some("LATERAL (SELECT (hydra_all.hydra_old).*) AS old");
    let whole = whole_rows(table, "hydra_all.hydra_new", "hydra_all.hydra_old");
    query("hydra_all.hydra_number", &[Some(&rows), new, old], &whole, expressions)
}

/// Returns a source with the whole rows as columns `new` and `old`.
fn whole_rows(table: Table, new: &str, old: &str) -> String {
    let new = table.has_new.then(|| format!("{new} AS new"));
    let old = table.has_old.then(|| format!("{old} AS old"));
    let columns: Vec<String> = new.into_iter().chain(old).collect();
    format!("LATERAL (SELECT {}) AS hydra_rows", columns.join(", "))
}

/// Builds a query. A line break follows each expression, because an expression may end with a comment.
///
/// In an expression, `new` is the row and `new.x` its column `x`, even if the table has a column that is called `new`.
/// So the expressions stand in a subquery whose only columns are the whole rows, which hides the columns of the
/// `sources` around it.
fn query(number: &str, sources: &[Option<&str>], whole_rows: &str, expressions: &Expressions<&str>) -> String {
    let sources: String = sources.iter().flatten().map(|source| format!("{source}, ")).collect();
    let tenant = expressions.tenant.unwrap_or("NULL");
    let entity = expressions.entity.unwrap_or("NULL");
    let condition = expressions.condition.map(|condition| format!(" WHERE ({condition}\n)"));
    format!(
        "SELECT {number}, hydra_result.hydra_tenant, hydra_result.hydra_entity FROM {sources}LATERAL (\
         SELECT hydra_values.hydra_tenant, hydra_values.hydra_entity FROM {whole_rows}, LATERAL (VALUES (\
         COALESCE(({tenant}\n)::pg_catalog.text), COALESCE(({entity}\n)::pg_catalog.jsonb)\
         )) AS hydra_values (hydra_tenant, hydra_entity){}) AS hydra_result",
        condition.unwrap_or_default()
    )
}
