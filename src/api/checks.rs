//! Functions that the extension's SQL calls: to check URLs and headers, to match event types, to derive the ids of
//! deliveries and events.

use pgrx::Uuid;
use pgrx::prelude::*;
use sender::destination::{check_url, origin, without_address};
use wire::event_type::{names, nearest};
use wire::headers;
use wire::ids::{DeliveryId, EventId, EventKey, Installation, SubscriptionId};
use wire::refusal::Refusal;

use crate::backend::refuse::refuse;
use crate::settings;

/// Fails if no request may be sent to this URL.
#[pg_extern]
fn _check_url(url: &str) {
    if let Err(error) = check_url(url, &settings::destination_policy()) {
        refuse(
            PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE,
            error.message,
            error.detail.as_deref().unwrap_or("No request can go there."),
            error.hint.as_deref().unwrap_or("A URL is like https://example.com/webhooks."),
        );
    }
}

/// Returns the scheme, host and port of a URL. Null if the URL cannot be read.
#[pg_extern(immutable, strict, parallel_safe)]
fn _origin(url: &str) -> Option<String> {
    origin(url)
}

/// Returns a URL as those see it who may not manage subscriptions: without its path and query, which may be secret.
#[pg_extern(immutable, strict, parallel_safe)]
fn _shown_url(url: &str) -> String {
    origin(url).unwrap_or_default() + "/…"
}

/// Returns an error as those see it who may not manage subscriptions: without the address of a refused name.
#[pg_extern(immutable, strict, parallel_safe)]
fn _shown_error(error: &str) -> String {
    without_address(error).to_owned()
}

/// Returns whether an entry of the `event_types` of a subscription matches this event type.
#[pg_extern(immutable, strict, parallel_safe)]
fn _names_event_type(wanted: &str, event_type: &str) -> bool {
    names(wanted, event_type)
}

/// Returns the one of these event types that was probably meant by one that is not registered.
#[pg_extern(immutable, strict, parallel_safe)]
fn _nearest_event_type(name: &str, known: Vec<Option<String>>) -> Option<String> {
    nearest(name, known.iter().flatten().map(String::as_str)).map(str::to_owned)
}

/// More than the longest text of headers that a subscription can have.
const MAX_HEADERS_BYTES: usize = 1_000_000;

/// Fails if a subscription cannot have these headers, given as JSON text. They are not parsed if the text is too long:
/// Rust aborts the process if there is no memory for what was parsed.
#[pg_extern(strict)]
fn _check_headers(headers: &str) {
    let Err(refusal) = parse_headers(headers) else { return };
    refuse(
        PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE,
        refusal.message,
        refusal.detail.as_deref().unwrap_or_default(),
        r#"For example '{"Authorization": "Bearer …"}'."#,
    );
}

fn parse_headers(text: &str) -> Result<(), Refusal> {
    if text.len() > MAX_HEADERS_BYTES {
        return Err(Refusal::new("headers are too long").detail("They have more than a megabyte."));
    }
    // Not every number that jsonb can hold can be parsed.
    let parsed = serde_json::from_str(text).map_err(|_| {
        Refusal::new("invalid headers").detail("Headers are a JSON object of names and values, which are strings.")
    })?;
    headers::parse(&parsed).map(drop)
}

/// Returns the id of the delivery of an event to a subscription.
#[pg_extern(immutable, strict, parallel_safe)]
fn _delivery_id(installation: Uuid, event_id: i64, event_random: i64, subscription_id: i64) -> Uuid {
    let installation = Installation(*installation.as_bytes());
    let event = EventKey { id: EventId(event_id), random: event_random, installation };
    Uuid::from_bytes(DeliveryId::derive(event, SubscriptionId(subscription_id)).0)
}

/// Returns the id of an event as receivers see it.
#[pg_extern(immutable, strict, parallel_safe)]
fn _event_uuid(installation: Uuid, event_id: i64, event_random: i64) -> Uuid {
    let installation = Installation(*installation.as_bytes());
    let event = EventKey { id: EventId(event_id), random: event_random, installation };
    Uuid::from_bytes(event.uuid().0)
}

/// Returns a random number: the random part of an event that is inserted by SQL.
#[pg_extern]
fn _random() -> i64 {
    rand::random()
}
