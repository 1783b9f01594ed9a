//! What our functions refuse, and in which field of a request it is. The settings pages and the REST API call the same functions.

use crate::backend::subtransaction::{attempt, must_end};
use crate::serve::sql;

/// How messages of our functions begin, and the field that each is about. Of two beginnings that fit, the first counts.
pub type Fields = &'static [(&'static str, &'static str)];

/// Those of the settings of a webhook.
pub const WEBHOOK: Fields = &[
    ("url ", "url"),
    ("webhook URL ", "url"),
    ("invalid webhook URL", "url"),
    ("event_types ", "event_types"),
    ("invalid subscription name", "name"),
    ("subscription name", "name"),
    ("invalid event types", "event_types"),
    ("too many event types", "event_types"),
    ("event type ", "event_types"),
    ("no event type ", "event_types"),
    ("tenant_id ", "tenant_id"),
    ("invalid signatures", "signatures"),
    ("invalid timeout", "timeout"),
    ("invalid retry schedule", "retry_schedule"),
    ("filter ", "filter"),
    ("invalid filter", "filter"),
    ("invalid max_in_flight", "max_in_flight"),
    ("invalid rate_limit", "rate_limit"),
    ("invalid disable_after_time", "disable_after_time"),
    ("invalid disable_after", "disable_after"),
    ("invalid keep_bodies", "keep_bodies"),
    ("preset ", "preset"),
    ("the headers of subscription ", "headers"),
    ("headers ", "headers"),
    ("invalid header", "headers"),
    ("too many headers", "headers"),
    ("header ", "headers"),
    ("invalid value of header ", "headers"),
];

/// Those of the rotation of a secret.
pub const ROTATION: Fields = &[("invalid overlap", "overlap"), ("subscription ", "overlap")];

/// Returns the field that a message is about.
pub fn field(fields: Fields, message: &str) -> Option<&'static str> {
    fields.iter().find(|(start, _)| message.starts_with(start)).map(|(_, field)| *field)
}

/// Whether a text can be converted to a type.
pub fn converts(value: &str, of_type: &str) -> bool {
    let cast = format!("SELECT $1::{of_type}::text");
    match attempt(|| sql::one::<String>(&cast, &[value.into()])) {
        Ok(_) => true,
        Err(failed) if must_end(&failed) => failed.rethrow(),
        Err(_) => false,
    }
}
