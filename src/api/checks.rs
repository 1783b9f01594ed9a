//! Pure rules, for SQL to use.

use std::time::{Duration, SystemTime};

use pgrx::datum::Interval;
use pgrx::prelude::*;
use pgrx::{JsonB, Uuid};

use crate::backend::refuse::{refuse, refuse_unreadable};
use crate::delivery::DeliveryId;
use crate::event;
use crate::headers;
use crate::keys;
use crate::sender::address::check_url;
use crate::settings;
use crate::signature::{self, SigningSecret};

/// Refuses a URL that no request may go to.
#[pg_extern]
fn _check_url(url: &str) {
    if let Err(error) = check_url(url, &settings::destination_policy()) {
        refuse(
            PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE,
            error.message,
            error.detail.as_deref().unwrap_or("No request can go there."),
            error.hint.unwrap_or("A URL is like https://example.com/webhooks."),
        );
    }
}

/// Whether an entry of a subscription's event types names this one.
#[pg_extern(immutable, strict, parallel_safe)]
fn _names_event_type(wanted: &str, event_type: &str) -> bool {
    event::names(wanted, event_type)
}

/// Refuses headers that a subscription cannot have of its own.
#[pg_extern(strict)]
fn _check_headers(headers: JsonB) {
    if let Err(refusal) = headers::parse(&headers.0) {
        refuse(
            PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE,
            refusal.message,
            &refusal.detail,
            r#"For example '{"Authorization": "Bearer …"}'."#,
        );
    }
}

/// A new signing secret.
#[pg_extern]
fn _new_secret() -> String {
    SigningSecret::random(&mut rand::rng()).expose().to_owned()
}

/// What is to be stored of a secret, sealed or as it is.
#[pg_extern(strict)]
fn _seal_secret(secret: &str, subscription_id: i64) -> String {
    keys::keys().seal(secret, subscription_id, &mut rand::rng())
}

/// The same of one that is stored already, sealed with whatever key or none.
#[pg_extern(strict)]
fn _reseal_secret(stored: &str, subscription_id: i64) -> String {
    let keys = keys::keys();
    if keys.is_empty() {
        refuse(
            PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
            "there is no key to seal secrets with",
            "hydra_webhooks.key_file is not set.",
            "Name a file of keys in postgresql.conf, and reload.",
        );
    }
    let secret = keys.open(stored, subscription_id).unwrap_or_else(|why| refuse_unreadable(subscription_id, &why));
    keys.seal(&secret, subscription_id, &mut rand::rng())
}

/// The id of the delivery of an event to a subscription.
#[pg_extern(immutable, strict, parallel_safe)]
fn _delivery_id(namespace: Uuid, event_id: i64, subscription_id: i64) -> Uuid {
    Uuid::from_bytes(DeliveryId::derive(*namespace.as_bytes(), event_id, subscription_id).0)
}

/// Whether a request with this body and `X-Hydra-Signature` header was signed with this secret, and not too long ago.
#[pg_extern(strict)]
fn webhook_verify(body: &str, header: &str, secret: &str, tolerance: default!(Interval, "'300 s'")) -> bool {
    let micros = tolerance.as_micros();
    let Ok(micros) = u64::try_from(micros) else {
        refuse(
            PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE,
            "tolerance must not be negative",
            "It is how far the time of the signature may be from now.",
            "Leave it out for 300 s.",
        )
    };
    let secret = SigningSecret::from(secret.to_owned());
    signature::verify(body, header, &secret, Duration::from_micros(micros), SystemTime::now())
}
