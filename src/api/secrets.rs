//! Functions for signing secrets: create one, seal (encrypt) it, and verify a signature that was made with it.

use std::time::{Duration, SystemTime};

use pgrx::datum::Interval;
use pgrx::prelude::*;
use wire::ids::SubscriptionId;
use wire::secret::SigningSecret;
use wire::signature;

use crate::backend::refuse::refuse;
use crate::keys;

/// Returns a new signing secret.
#[pg_extern]
fn _new_secret() -> String {
    SigningSecret::random(&mut rand::rng()).expose().to_owned()
}

/// Returns the form in which a secret is stored: sealed if there is a key, otherwise in plain text.
#[pg_extern(strict)]
fn _seal_secret(secret: &str, subscription_id: i64) -> String {
    keys::read_or_refuse().seal(secret, SubscriptionId(subscription_id), &mut rand::rng())
}

/// Seals a stored secret with the first key, and returns the result. The secret may have been sealed with another key,
/// or not at all.
#[pg_extern(strict)]
fn _reseal_secret(stored: &str, subscription_id: i64) -> String {
    let (id, keys) = (SubscriptionId(subscription_id), keys::read_or_refuse());
    if keys.is_empty() {
        refuse(
            PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
            "there is no key to seal secrets with",
            "hydra_webhooks.key_file is not set.",
            "Set it to a file of keys in postgresql.conf, and reload.",
        );
    }
    let secret = keys.open(stored, id).unwrap_or_else(|why| keys::refuse_unreadable(id, &why));
    keys.seal(&secret, id, &mut rand::rng())
}

/// Returns whether a request with this body and `X-Hydra-Signature` header was signed with this secret, at a time that
/// differs from the present time by at most the tolerance.
#[pg_extern(strict)]
fn webhook_verify(body: &str, header: &str, secret: &str, tolerance: default!(Interval, "'300 s'")) -> bool {
    let micros = tolerance.as_micros();
    let Ok(micros) = u64::try_from(micros) else {
        refuse(
            PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE,
            "tolerance must not be negative",
            "The tolerance is how far the time of the signature may be from now.",
            "Leave it out for 300 s.",
        )
    };
    let secret = SigningSecret::from(secret.to_owned());
    signature::verify(body, header, &secret, Duration::from_micros(micros), SystemTime::now())
}
