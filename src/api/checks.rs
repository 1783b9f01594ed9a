//! Functions that the extension's SQL calls: to check URLs and headers, to match event types, to derive the ids of
//! deliveries.

use pgrx::prelude::*;
use pgrx::{JsonB, Uuid};
use sender::destination::{check_url, origin};
use wire::event_type::names;
use wire::headers;
use wire::ids::{DeliveryId, EventId, SubscriptionId};

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

/// Returns whether an entry of the `event_types` of a subscription matches this event type.
#[pg_extern(immutable, strict, parallel_safe)]
fn _names_event_type(wanted: &str, event_type: &str) -> bool {
    names(wanted, event_type)
}

/// Fails if a subscription cannot have these headers.
#[pg_extern(strict)]
fn _check_headers(headers: JsonB) {
    if let Err(refusal) = headers::parse(&headers.0) {
        refuse(
            PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE,
            refusal.message,
            refusal.detail.as_deref().unwrap_or_default(),
            r#"For example '{"Authorization": "Bearer …"}'."#,
        );
    }
}

/// Returns the id of the delivery of an event to a subscription.
#[pg_extern(immutable, strict, parallel_safe)]
fn _delivery_id(namespace: Uuid, event_id: i64, subscription_id: i64) -> Uuid {
    Uuid::from_bytes(DeliveryId::derive(*namespace.as_bytes(), EventId(event_id), SubscriptionId(subscription_id)).0)
}
