//! Functions for signing secrets and values of headers: create a secret, seal (encrypt) secrets and values, and verify a
//! signature.
//!
//! A new secret must not be logged. Postgres can log the plan of a statement (`debug_print_plan`, auto_explain), with its
//! constants and the values of its parameters. So a new secret is neither: the statement that stores it gets it from a
//! function, also if a user has given it. A constraint that fails would show the whole row, so what is stored is checked
//! before.

use std::cell::RefCell;
use std::time::{Duration, SystemTime};

use pgrx::JsonB;
use pgrx::datum::Interval;
use pgrx::prelude::*;
use wire::ids::SubscriptionId;
use wire::secret::{Keys, SigningSecret};
use wire::{headers, signature};

use crate::backend::refuse::refuse;
use crate::keys;

thread_local! {
    /// The secret that a user has given, which the next statement stores.
    static GIVEN: RefCell<Option<SigningSecret>> = const { RefCell::new(None) };
}

/// Makes a signing secret for a subscription, unless [`_add_secret`] was given one. Returns it in the form in which it is
/// stored (sealed if there is a key, otherwise in plain text), and its first characters.
#[pg_extern(strict)]
fn _new_secret(subscription_id: i64) -> TableIterator<'static, (name!(stored, String), name!(prefix, String))> {
    let secret = GIVEN.take().unwrap_or_else(|| SigningSecret::random(&mut rand::rng()));
    let stored = keys::read_or_refuse().seal(secret.expose(), SubscriptionId(subscription_id), &mut rand::rng());
    TableIterator::once((stored, secret.prefix().to_owned()))
}

/// Stores a signing secret for a subscription, the given one or a new one, and returns it.
#[pg_extern]
#[search_path(pg_catalog, pg_temp)]
fn _add_secret(subscription_id: i64, secret: Option<&str>) -> String {
    let keys = keys::read_or_refuse();
    // After an error, the next call overwrites it.
    GIVEN.set(secret.map(|secret| checked(secret, subscription_id, &keys)));
    let stored = Spi::get_one_with_args(include_str!("../../sql/queries/insert_secret.sql"), &[subscription_id.into()]);
    let stored: String = stored.expect("SPI writes").expect("the row that was inserted");
    open(&keys, &stored, SubscriptionId(subscription_id))
}

/// Returns the secret that a user gives to a subscription; fails if it cannot have this one.
fn checked(secret: &str, subscription_id: i64, keys: &Keys) -> SigningSecret {
    const HINT: &str = "Omit it, and a random secret is made.";
    let given = SigningSecret::given(secret).unwrap_or_else(|refusal| {
        let detail = refusal.detail.unwrap_or_default();
        refuse(PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE, refusal.message, &detail, HINT)
    });
    let (secrets, is_standard) = in_use(subscription_id, keys);
    if is_standard && !given.is_standard() {
        refuse_for_standard(subscription_id);
    }
    if secrets.iter().any(|known| known.expose() == secret) {
        refuse(
            PgSqlErrorCode::ERRCODE_DUPLICATE_OBJECT,
            format!("subscription {subscription_id} has this signing secret already"),
            "It signs its requests now.",
            HINT,
        );
    }
    given
}

/// Fails if a subscription signs for Standard Webhooks with a secret that the libraries refuse. Secrets that cannot be read
/// are not judged.
#[pg_extern(strict)]
#[search_path(pg_catalog, pg_temp)]
fn _check_secrets_fit(subscription_id: i64) {
    let (secrets, is_standard) = in_use(subscription_id, &keys::read().unwrap_or_default());
    if is_standard && !secrets.iter().all(SigningSecret::is_standard) {
        refuse_for_standard(subscription_id);
    }
}

fn refuse_for_standard(subscription_id: i64) -> ! {
    refuse(
        PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE,
        format!("subscription {subscription_id} cannot sign with this secret"),
        "Its signatures include standard, for which a secret is base64 of 24 to 64 bytes, with or without whsec_ before it.",
        "Use another secret, or signatures without standard.",
    )
}

/// Returns the secrets of a subscription that sign and can be read, and whether one of its signatures is `standard`.
fn in_use(subscription_id: i64, keys: &Keys) -> (Vec<SigningSecret>, bool) {
    const STORED: &str = include_str!("../../sql/queries/secrets_in_use.sql");
    let found = Spi::get_two_with_args::<Vec<String>, bool>(STORED, &[subscription_id.into()]).expect("SPI reads");
    let (Some(stored), is_standard) = found else { return (Vec::new(), false) };
    let read = stored.iter().filter_map(|stored| keys.open(stored, SubscriptionId(subscription_id)).ok());
    (read.map(SigningSecret::from).collect(), is_standard.unwrap_or_default())
}

/// Seals a stored secret with the first key, and returns the result. The secret may have been sealed with another key,
/// or not at all.
#[pg_extern(strict)]
fn _reseal_secret(stored: &str, subscription_id: i64) -> String {
    let (id, keys) = (SubscriptionId(subscription_id), keys_to_seal_with());
    keys.seal(&open(&keys, stored, id), id, &mut rand::rng())
}

/// Returns the headers of a subscription in the form in which they are stored: values are sealed if there is a key.
#[pg_extern(strict)]
fn _seal_headers(headers: JsonB, subscription_id: i64) -> JsonB {
    let keys = keys::read_or_refuse();
    JsonB(headers::seal(&headers.0, SubscriptionId(subscription_id), &keys, &mut rand::rng()))
}

/// Seals the values of stored headers with the first key, and returns the result.
#[pg_extern(strict)]
fn _reseal_headers(stored: JsonB, subscription_id: i64) -> JsonB {
    let (id, keys) = (SubscriptionId(subscription_id), keys_to_seal_with());
    let opened = headers::open(&stored.0, id, &keys).unwrap_or_else(|why| keys::refuse_unreadable(id, &why));
    JsonB(headers::seal(&opened, id, &keys, &mut rand::rng()))
}

/// Reads the keys, and fails if there is none.
pub fn keys_to_seal_with() -> Keys {
    let keys = keys::read_or_refuse();
    if keys.is_empty() {
        refuse(
            PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
            "there is no key to seal secrets with",
            "hydra_webhooks.key_file is not set.",
            "Set it to a file of keys in postgresql.conf, and reload.",
        );
    }
    keys
}

fn open(keys: &Keys, stored: &str, id: SubscriptionId) -> String {
    keys.open(stored, id).unwrap_or_else(|why| keys::refuse_unreadable(id, &why))
}

/// Returns whether a request with this body and `X-Hydra-Signature` header was signed with this secret, at a time that
/// differs from the present time by at most the tolerance.
#[pg_extern(strict)]
fn webhook_verify(body: &str, header: &str, secret: &str, tolerance: default!(Interval, "'300 s'")) -> bool {
    let micros = micros(&tolerance);
    if micros < 0 {
        refuse(
            PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE,
            "tolerance must not be negative",
            "The tolerance is how far the time of the signature may be from now.",
            "Leave it out for 300 s.",
        )
    }
    let tolerance = Duration::from_micros(micros.try_into().unwrap_or(u64::MAX));
    let secret = SigningSecret::from(secret.to_owned());
    signature::verify(body, header, &secret, tolerance, SystemTime::now())
}

/// Returns how long an interval lasts, in microseconds. As in `extract(epoch FROM …)`, which judges all other intervals,
/// a year has 365.25 days and a month 30.
fn micros(interval: &Interval) -> i128 {
    const DAY: i128 = 24 * 3600 * 1_000_000;
    let (years, months) = (i128::from(interval.months() / 12), i128::from(interval.months() % 12));
    let days = i128::from(interval.days()) + 30 * months;
    i128::from(interval.micros()) + days * DAY + years * DAY * 1461 / 4
}
