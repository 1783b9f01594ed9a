//! Makes API keys and links to the settings pages.
//!
//! These functions are in Rust, because they need the role of their caller, which a SECURITY DEFINER function does not
//! see, and because a new token must not be in a statement, which may be logged. The statements get its hash.

use pgrx::datum::{Interval, TimestampWithTimeZone};
use pgrx::prelude::*;
use pgrx::spi::Spi;
use wire::token::{Kind, Token, stored};

use super::gateway_status::public_url;
use crate::tables;

fn new_token(kind: Kind) -> (Token, Vec<u8>) {
    let token = Token::random(kind, &mut rand::rng());
    let hash = stored(&token.credential()).to_vec();
    (token, hash)
}

/// Creates an API key. Returns its id and the key.
#[pg_extern]
#[search_path(pg_catalog, pg_temp)]
fn api_key_create(
    name: Option<&str>,
    scopes: Option<Vec<Option<String>>>,
    tenant_id: default!(Option<&str>, "NULL"),
    role: default!(Option<&str>, "NULL"),
    expires_at: default!(Option<TimestampWithTimeZone>, "NULL"),
    approval: default!(Option<&str>, "NULL"),
    requests_per_minute: default!(Option<i32>, "NULL"),
) -> TableIterator<'static, (name!(id, i64), name!(key, String))> {
    let (key, hash) = new_token(Kind::ApiKey);
    let caller = tables::current_role();
    let insert = "SELECT hydra._insert_api_key($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
    let args = [
        caller.into(),
        name.into(),
        scopes.into(),
        tenant_id.into(),
        role.into(),
        expires_at.into(),
        approval.into(),
        requests_per_minute.into(),
        hash.into(),
        key.shown().to_owned().into(),
    ];
    let id = tables::as_owner(|| Spi::get_one_with_args::<i64>(insert, &args)).expect("SPI writes").expect("an id");
    TableIterator::once((id, key.expose().to_owned()))
}

/// Gives an API key a new text and returns it. During the overlap the old one is accepted too.
#[pg_extern]
#[search_path(pg_catalog, pg_temp)]
fn api_key_rotate(id: Option<i64>, overlap: default!(Option<Interval>, "'0'")) -> String {
    let (key, hash) = new_token(Kind::ApiKey);
    let caller = tables::current_role();
    let replace = "SELECT hydra._replace_api_key($1, $2, $3, $4, $5)";
    let args = [caller.into(), id.into(), overlap.into(), hash.into(), key.shown().to_owned().into()];
    tables::as_owner(|| Spi::run_with_args(replace, &args)).expect("SPI writes");
    key.expose().to_owned()
}

/// Makes a link with which one person can open the settings pages, once, as this role and for this tenant.
#[pg_extern]
#[search_path(pg_catalog, pg_temp)]
fn console_link(
    role: Option<&str>,
    tenant_id: default!(Option<&str>, "NULL"),
    valid_for: default!(Option<Interval>, "'10 min'"),
) -> String {
    let (link, hash) = new_token(Kind::Link);
    let caller = tables::current_role();
    let insert = "SELECT hydra._insert_console_link($1, $2, $3, $4, $5)";
    let args = [caller.into(), role.into(), tenant_id.into(), valid_for.into(), hash.into()];
    tables::as_owner(|| Spi::run_with_args(insert, &args)).expect("SPI writes");
    // Without a known URL, what follows the address.
    format!("{}/login/{}", public_url().unwrap_or_default(), link.expose())
}
