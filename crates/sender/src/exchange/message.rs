//! Builds the HTTP request of an attempt.
//!
//! Names of headers go out as they are documented. HTTP does not distinguish upper and lower case in them, but some
//! receivers do.

use std::time::{SystemTime, UNIX_EPOCH};

use http::Uri;
use ureq::RequestBuilder;
use ureq::typestate::WithBody;
use wire::preset::Field;
use wire::request::{Endpoint, Request};
use wire::signature::{self, Signed};

const USER_AGENT: &str = "Hydra-Webhooks/1.0";

/// Adds all headers: the ordinary ones, and those of the preset, the signatures and the subscription.
pub fn with_headers(
    builder: RequestBuilder<WithBody>,
    request: &Request,
    uri: &Uri,
    now: SystemTime,
) -> RequestBuilder<WithBody> {
    let Endpoint { schemes, secrets, headers, .. } = &*request.endpoint;
    let mut builder = builder
        .header_raw("Host", host(uri).as_bytes())
        .header_raw("User-Agent", USER_AGENT.as_bytes())
        // Some firewalls refuse requests without it.
        .header_raw("Accept", b"*/*")
        .header_raw("Content-Type", b"application/json")
        .header_raw("Content-Length", request.body.len().to_string().as_bytes());
    let at = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let signed = Signed { id: request.delivery, at, body: &request.body };
    let usual = [request.preset.scheme()];
    let signatures = signature::headers(if schemes.is_empty() { &usual } else { schemes }, secrets, signed);
    for (name, field) in request.preset.headers() {
        // The headers of a signature may contain the id and the time already.
        if signatures.iter().all(|(signed, _)| signed != name) {
            builder = match field {
                Field::EventType => builder.header_raw(name, request.event_type.as_bytes()),
                Field::DeliveryId => builder.header_raw(name, request.delivery.to_string().as_bytes()),
                Field::Time => builder.header_raw(name, at.to_string().as_bytes()),
            };
        }
    }
    for (name, value) in signatures {
        builder = builder.header_raw(name, value.as_bytes());
    }
    for (name, value) in headers {
        builder = builder.header_raw(name, value.as_bytes());
    }
    builder
}

/// Returns the host with its port, unless it is the default port of the scheme.
fn host(uri: &Uri) -> &str {
    let default = if uri.scheme_str() == Some("http") { 80 } else { 443 };
    match uri.authority() {
        Some(authority) if authority.port_u16() != Some(default) => authority.as_str(),
        _ => uri.host().unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_is_named_without_a_default_port() {
        for (uri, expected) in [
            ("https://a.example/", "a.example"),
            ("https://a.example:443/", "a.example"),
            ("https://a.example:80/", "a.example:80"),
            ("http://a.example:80/", "a.example"),
            ("http://[::1]:8080/", "[::1]:8080"),
            ("https://[::1]/", "[::1]"),
        ] {
            assert_eq!(host(&uri.parse().unwrap()), expected, "{uri}");
        }
    }
}
