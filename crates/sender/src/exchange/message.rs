//! Writes the head of the HTTP request of an attempt.
//!
//! Names of headers go out as they are documented. HTTP does not distinguish upper and lower case in them, but some
//! receivers do.

use std::io::Write;
use std::time::{SystemTime, UNIX_EPOCH};

use http::Uri;
use humantime::format_rfc3339_micros;
use wire::headers::HOPS;
use wire::preset::Field;
use wire::request::{Endpoint, Request};
use wire::signature::{self, Signed};

/// Returns the beginning of each request to this URL, up to the value of `Content-Length`.
pub fn beginning(uri: &Uri) -> Vec<u8> {
    let path = uri.path_and_query().map(ToString::to_string);
    let path = path.filter(|path| !path.is_empty()).unwrap_or_else(|| "/".to_owned());
    // Some firewalls refuse requests without `Accept`.
    format!(
        "POST {path} HTTP/1.1\r\nHost: {}\r\nUser-Agent: Hydra-Webhooks/1.0\r\nAccept: */*\r\n\
         Content-Type: application/json\r\nContent-Length: ",
        host(uri)
    )
    .into_bytes()
}

/// Writes the head of a request. `now` is the time that is signed.
pub fn write_head(head: &mut Vec<u8>, beginning: &[u8], request: &Request, now: SystemTime) {
    let Endpoint { schemes, secrets, headers, .. } = &*request.endpoint;
    head.extend_from_slice(beginning);
    let at = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let _ = write!(head, "{}\r\n", request.body.len());
    let signed = Signed { id: request.delivery, at, body: &request.body };
    let usual = [request.preset.scheme()];
    let signatures = signature::headers(if schemes.is_empty() { &usual } else { schemes }, secrets, signed);
    for (name, field) in request.preset.headers() {
        // The headers of a signature may contain the id and the time already.
        if signatures.iter().all(|(signed, _)| signed != name) {
            let _ = match field {
                Field::EventType => write!(head, "{name}: {}\r\n", request.event_type),
                Field::DeliveryId => write!(head, "{name}: {}\r\n", request.delivery),
                Field::Time => write!(head, "{name}: {at}\r\n"),
                Field::EventId => write!(head, "{name}: {}\r\n", request.event.uuid()),
                Field::EventTime => write!(head, "{name}: {}\r\n", format_rfc3339_micros(request.emitted_at)),
                Field::Operation => match request.operation {
                    Some(operation) => write!(head, "{name}: {}\r\n", operation.as_str()),
                    None => Ok(()),
                },
            };
        }
    }
    for (name, value) in &signatures {
        write_header(head, name, value);
    }
    if request.hops > 0 {
        let _ = write!(head, "{HOPS}: {}\r\n", request.hops);
    }
    for (name, value) in headers {
        write_header(head, name, value);
    }
    head.extend_from_slice(b"\r\n");
}

fn write_header(head: &mut Vec<u8>, name: &str, value: &str) {
    for part in [name, ": ", value, "\r\n"] {
        head.extend_from_slice(part.as_bytes());
    }
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
    fn the_path_and_the_query_are_sent_as_they_were_given() {
        for (uri, expected) in [
            ("https://a.example", "/"),
            ("https://a.example?x=1", "/?x=1"),
            ("https://a.example/p/%0d?x=1&y", "/p/%0d?x=1&y"),
        ] {
            let beginning = String::from_utf8(beginning(&uri.parse().unwrap())).unwrap();
            assert!(beginning.starts_with(&format!("POST {expected} HTTP/1.1\r\nHost: a.example\r\n")), "{beginning}");
        }
    }

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
