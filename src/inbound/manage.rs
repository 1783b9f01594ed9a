//! The SQL functions that make adapters and give them secrets and URLs.
//!
//! They are in Rust where a secret or a new URL must not be in a statement, whose constants and parameters may be logged:
//! the statement that stores it gets it from a function, which finds it in the memory of this process. The functions get
//! the role of their caller, which a SECURITY DEFINER function does not see.

use std::cell::RefCell;

use ::inbound::Scheme;
use pgrx::datum::{Interval, TimestampWithTimeZone};
use pgrx::prelude::*;
use serde_json::Value;
use wire::refusal::Refusal;
use wire::secret::{Keys, Place};
use wire::token::{Kind, Token, stored};

use super::adapter::{self, signs_url};
use super::mapping::Mapping;
use crate::backend::refuse::refuse;
use crate::emit::RawJsonb;
use crate::keys;
use crate::runner;
use crate::tables;

thread_local! {
    /// What the next statement stores.
    static GIVEN: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// No JSON that an adapter has is longer.
const LONGEST_JSON: usize = 512 << 10;

/// Returns the text of an argument. It is not parsed by the conversion of arguments, because not every number that `jsonb` can
/// hold can be represented.
pub fn text_of(json: Option<RawJsonb>, what: &str) -> Option<String> {
    let too_long = || refuse_json(what, &format!("It has more than {} kB.", LONGEST_JSON / 1024));
    json.map(|json| json.text(LONGEST_JSON).unwrap_or_else(too_long))
}

/// Parses the text of an argument.
pub fn parsed(json: &str, what: &str) -> Value {
    serde_json::from_str(json)
        .unwrap_or_else(|_| refuse_json(what, "It has a number that is too large, or too many levels."))
}

fn refuse_json(what: &str, detail: &str) -> ! {
    refuse(
        PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE,
        format!("invalid {what}"),
        detail,
        "Look at docs/inbound.md.",
    )
}

pub fn parsed_scheme(json: &str) -> Scheme {
    Scheme::parse(&parsed(json, "scheme")).unwrap_or_else(|refusal| refuse_refusal(&refusal))
}

/// Runs `body`, in which [`_given_inbound_secret`] and [`_given_inbound_token`] return what was given, sealed.
fn giving<R>(secret: Option<String>, body: impl FnOnce() -> R) -> R {
    struct Forgotten;
    impl Drop for Forgotten {
        fn drop(&mut self) {
            GIVEN.set(None);
        }
    }
    let _forgotten = Forgotten;
    GIVEN.set(secret);
    tables::as_owner(body)
}

fn given(place: Place<'_>) -> Option<String> {
    GIVEN.with_borrow(|given| given.as_ref().map(|given| keys::read_or_refuse().seal(given, place, &mut rand::rng())))
}

/// Returns the secret that a function of this module was given, in the form in which it is stored; null: none.
#[pg_extern(strict)]
fn _given_inbound_secret(adapter_id: i64) -> Option<String> {
    given(Place::InboundSecret(adapter_id))
}

/// Returns the secret part of a URL that a function of this module has made, in the form in which it is stored.
#[pg_extern(strict)]
fn _given_inbound_token(adapter_id: i64) -> Option<String> {
    given(Place::InboundPath(adapter_id))
}

/// Seals a stored secret of an adapter with the first key, and returns the result.
#[pg_extern(strict)]
fn _reseal_inbound_secret(stored: &str, adapter_id: i64) -> String {
    reseal(stored, adapter_id, Place::InboundSecret(adapter_id))
}

/// Seals a stored secret part of a URL with the first key, and returns the result.
#[pg_extern(strict)]
fn _reseal_inbound_token(stored: &str, adapter_id: i64) -> String {
    reseal(stored, adapter_id, Place::InboundPath(adapter_id))
}

fn reseal(stored: &str, adapter: i64, place: Place<'_>) -> String {
    let keys: Keys = crate::api::secrets::keys_to_seal_with();
    let opened = keys.open(stored, place).unwrap_or_else(|why| keys::refuse_unreadable_inbound(adapter, &why));
    keys.seal(&opened, place, &mut rand::rng())
}

/// Fails if an adapter cannot have these settings. Says whether it needs a secret, and whether the provider signs its URL;
/// returns the mapping as it is stored.
#[pg_extern]
#[allow(clippy::type_complexity)] // pgrx reads the columns off the type
fn _check_inbound(
    provider: Option<&str>,
    scheme: Option<&str>,
    mapping: Option<&str>,
) -> TableIterator<
    'static,
    (
        name!(needs_secret, bool),
        name!(signs_url, bool),
        name!(mapping, Option<String>),
        name!(events, Vec<String>),
        name!(paths, Vec<String>),
        name!(maps_tenant, bool),
    ),
> {
    let scheme = match scheme {
        Some(scheme) => parsed_scheme(scheme),
        None => Scheme::of_provider(provider.unwrap_or_default()).unwrap_or_else(|| refuse_provider(provider)),
    };
    if Scheme::of_provider(provider.unwrap_or_default()).is_none() {
        refuse_provider(provider);
    }
    let mapping = mapping.map(|mapping| parsed(mapping, "mapping"));
    let read =
        mapping.as_ref().map(|mapping| Mapping::parse(mapping).unwrap_or_else(|refusal| refuse_refusal(&refusal)));
    let rules = || read.iter().flat_map(Mapping::rules);
    TableIterator::once((
        scheme.needs_secret(),
        signs_url(&scheme),
        mapping.as_ref().map(|mapping| Mapping::stored(mapping).to_string()),
        rules().map(|rule| rule.event.clone()).collect(),
        rules().flat_map(|rule| rule.paths()).map(str::to_owned).collect(),
        rules().any(|rule| rule.tenant_id.is_some()),
    ))
}

/// Fails if a text cannot be a secret of this scheme. The text is not in any message.
fn check_secret(provider: Option<&str>, scheme: Option<&str>, secret: Option<&str>) {
    let Some(secret) = secret else { return };
    let scheme = match scheme {
        Some(scheme) => Some(parsed_scheme(scheme)),
        None => Scheme::of_provider(provider.unwrap_or_default()),
    };
    // Other problems are found where the adapter is checked.
    if let Some(Err(refusal)) = scheme.map(|scheme| scheme.check_secret(secret.as_bytes())) {
        refuse_refusal(&refusal);
    }
}

/// Creates an adapter. Returns its id and its URL.
#[pg_extern]
#[search_path(pg_catalog, pg_temp)]
#[allow(clippy::too_many_arguments)] // settings of an adapter
fn inbound_create(
    name: Option<&str>,
    mapping: Option<RawJsonb>,
    provider: default!(Option<&str>, "'none'"),
    secret: default!(Option<&str>, "NULL"),
    tenant_id: default!(Option<&str>, "NULL"),
    scheme: default!(Option<RawJsonb>, "NULL"),
    each: default!(Option<&str>, "NULL"),
    id_path: default!(Option<&str>, "NULL"),
    type_path: default!(Option<&str>, "NULL"),
    response: default!(Option<RawJsonb>, "NULL"),
    budget: default!(Option<Interval>, "NULL"),
    requests_per_second: default!(Option<i32>, "NULL"),
) -> TableIterator<'static, (name!(id, i64), name!(url, String))> {
    let provider = provider.or(Some("none"));
    let (mapping, scheme) = (text_of(mapping, "mapping"), text_of(scheme, "scheme"));
    let response = text_of(response, "response");
    check_secret(provider, scheme.as_deref(), secret);
    let insert = "SELECT hydra._insert_inbound_adapter($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)";
    let args = [
        tables::current_role().into(),
        name.into(),
        mapping.into(),
        provider.into(),
        secret.is_some().into(),
        tenant_id.into(),
        scheme.into(),
        each.into(),
        id_path.into(),
        type_path.into(),
        response.into(),
        budget.into(),
        requests_per_second.into(),
    ];
    let id = giving(secret.map(str::to_owned), || Spi::get_one_with_args::<i64>(insert, &args));
    let id = id.expect("SPI writes").expect("an id");
    TableIterator::once((id, new_url(id, None)))
}

/// Gives an adapter a new URL and returns it. During the overlap the old one is accepted too.
#[pg_extern]
#[search_path(pg_catalog, pg_temp)]
fn inbound_rotate_url(id: Option<i64>, overlap: default!(Option<Interval>, "NULL")) -> String {
    let id = id.unwrap_or_else(|| refuse_unknown(id));
    new_url(id, overlap)
}

fn new_url(id: i64, overlap: Option<Interval>) -> String {
    let token = Token::random(Kind::Inbound, &mut rand::rng());
    let hash = stored(&token.credential()).to_vec();
    let replace = "SELECT hydra._replace_inbound_path($1, $2, $3, $4)";
    let args = [id.into(), overlap.into(), hash.into(), token.shown().to_owned().into()];
    giving(Some(token.expose().to_owned()), || Spi::run_with_args(replace, &args)).expect("SPI writes");
    adapter::url(token.expose())
}

/// Gives an adapter another secret. During the overlap the old one is accepted too.
#[pg_extern]
#[search_path(pg_catalog, pg_temp)]
fn inbound_rotate_secret(id: Option<i64>, secret: Option<&str>, overlap: default!(Option<Interval>, "NULL")) {
    let Some(secret) = secret else {
        refuse(
            PgSqlErrorCode::ERRCODE_NULL_VALUE_NOT_ALLOWED,
            "secret must not be null",
            "The provider shows the secret that it signs with.",
            "SELECT hydra.inbound_rotate_secret(7, '<secret>');",
        )
    };
    let adapter = id.and_then(adapter::of_id).unwrap_or_else(|| refuse_unknown(id));
    if let Err(refusal) = adapter.scheme.check_secret(secret.as_bytes()) {
        refuse_refusal(&refusal);
    }
    let replace = "SELECT hydra._replace_inbound_secret($1, $2)";
    let args = [adapter.id.into(), overlap.into()];
    giving(Some(secret.to_owned()), || Spi::run_with_args(replace, &args)).expect("SPI writes");
}

/// Makes events of an adapter due that came in this time and have failed, or for which no flow ran. Returns how many.
#[pg_extern]
#[search_path(pg_catalog, pg_temp)]
fn inbound_replay(
    id: Option<i64>,
    since: default!(Option<TimestampWithTimeZone>, "NULL"),
    until: default!(Option<TimestampWithTimeZone>, "NULL"),
) -> i64 {
    let args = [id.into(), since.into(), until.into()];
    let count = tables::as_owner(|| Spi::get_one_with_args::<i64>("SELECT hydra._replay_inbound($1, $2, $3)", &args));
    runner::at_commit(std::time::SystemTime::now());
    count.expect("SPI writes").expect("a count")
}

pub fn refuse_unknown(id: Option<i64>) -> ! {
    refuse(
        PgSqlErrorCode::ERRCODE_UNDEFINED_OBJECT,
        format!("inbound adapter {} does not exist", id.map_or("null".into(), |id| id.to_string())),
        "No inbound adapter has this id; it may have been deleted.",
        "SELECT id, name FROM hydra.inbound_adapters lists them.",
    )
}

pub fn refuse_refusal(refusal: &Refusal) -> ! {
    refuse(
        PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE,
        refusal.message.clone(),
        refusal.detail.as_deref().unwrap_or("An inbound adapter cannot have this."),
        refusal.hint.as_deref().unwrap_or("Look at docs/inbound.md."),
    )
}

fn refuse_provider(provider: Option<&str>) -> ! {
    let provider = provider.unwrap_or("null");
    refuse(
        PgSqlErrorCode::ERRCODE_UNDEFINED_OBJECT,
        format!("provider \"{}\" is not known", &provider[..provider.floor_char_boundary(120)]),
        &format!("Providers are {}.", Scheme::provider_names().join(", ")),
        "Use standard if the other system follows Standard Webhooks, pass a scheme if it signs otherwise, or omit it for none.",
    )
}
