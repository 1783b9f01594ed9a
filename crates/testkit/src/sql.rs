//! Running statements, and checking the errors that they must fail with.

use postgres::Client;
use postgres::types::FromSqlOwned;

/// An error as a user sees it.
#[derive(Debug)]
pub struct Refusal {
    pub code: String,
    pub message: String,
    pub detail: String,
    pub hint: String,
}

/// Runs a query that returns one value, and returns this value.
#[track_caller]
pub fn ask<T: FromSqlOwned>(client: &mut Client, sql: &str) -> T {
    client.query_one(sql, &[]).unwrap_or_else(|error| panic!("{sql}: {error:?}")).get(0)
}

#[track_caller]
pub fn run(client: &mut Client, sql: &str) {
    client.batch_execute(sql).unwrap_or_else(|error| panic!("{sql}: {error:?}"));
}

/// Runs a statement that must fail, and returns its error.
#[track_caller]
pub fn refusal(client: &mut Client, sql: &str) -> Refusal {
    let Err(error) = client.batch_execute(sql) else { panic!("{sql} was accepted") };
    let error = error.as_db_error().unwrap_or_else(|| panic!("{sql} ended the session: {error:?}"));
    Refusal {
        code: error.code().code().into(),
        message: error.message().into(),
        detail: error.detail().unwrap_or_default().into(),
        hint: error.hint().unwrap_or_default().into(),
    }
}

/// Runs a statement that must fail with this SQLSTATE, and with a message, a detail and a hint.
#[track_caller]
pub fn refused(client: &mut Client, sql: &str, code: &str) -> Refusal {
    let refusal = refusal(client, sql);
    let whole = [&refusal.message, &refusal.detail, &refusal.hint].iter().all(|part| !part.is_empty());
    assert!(refusal.code == code && whole, "{sql}: expected SQLSTATE {code} with detail and hint, got {refusal:#?}");
    refusal
}
