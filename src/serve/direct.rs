//! Runs one SQL statement as a request with an API key would: as the role of the key, in its tenant, and read-only for
//! GET. A superuser can try policies with it in psql: `SELECT * FROM hydra.serve(1, 'direct', …)`.
//!
//! No gateway offers it. It is refused to all sessions but those of superusers, who could do the same without it.

use serde_json::{Value, json};

use pgrx::JsonB;
use pgrx::prelude::*;

use super::answer::Answer;
use super::identity;
use super::problem::Problem;
use super::request::Request;
use super::sql;

pub fn answer(request: &Request) -> Result<Answer, Problem> {
    // SAFETY: reads variables of this process.
    let is_superuser = unsafe { pg_sys::superuser() && pg_sys::superuser_arg(pg_sys::GetSessionUserId()) };
    if !is_superuser {
        return Err(Problem::not_found());
    }
    let statement = str::from_utf8(&request.body).ok().filter(|text| !text.contains('\0'));
    let statement = statement.ok_or_else(Problem::invalid)?;
    let key = identity::api_key(request)?;
    let rows = key.act(|| match is_query(statement) {
        true => sql::rows(&format!("SELECT pg_catalog.to_jsonb(r) FROM ({statement}\n) AS r"), &[], |row| {
            row.first::<JsonB>().map_or(Value::Null, |value| value.0)
        }),
        false => {
            sql::run(statement, &[]);
            Vec::new()
        }
    });
    Ok(Answer::json(200, &json!(rows)))
}

fn is_query(statement: &str) -> bool {
    let first = statement.split_whitespace().next().unwrap_or_default();
    ["select", "table", "values"].iter().any(|word| first.eq_ignore_ascii_case(word))
}
