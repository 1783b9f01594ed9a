//! Checks whether a subscription may have a URL: when the URL is set, and again before each attempt, because the
//! settings may have changed in between.
//!
//! The check is stricter than the parser behind it, which silently drops a fragment, treats port 99999 as the default
//! port, and turns a user name into a header. Host names that some libraries read as numbers (`127.1`, `0x7f000001`)
//! are refused: what is checked must be what is connected to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use http::Uri;
use http::uri::Authority;
use wire::refusal::Refusal;

use super::policy::DestinationPolicy;

const MAX_URL_BYTES: usize = 2048;
const MAX_HOST_BYTES: usize = 253;
const MAX_LABEL_BYTES: usize = 63;

const NOT_ALLOWED: &str = "webhook URL points to an address that is not allowed";

/// Checks whether a subscription may have this URL.
pub fn check_url(url: &str, policy: &DestinationPolicy) -> Result<(), Refusal> {
    parse_url(url, policy).map(drop)
}

/// Checks a URL in the same way, and returns it in parsed form.
pub fn parse_url(url: &str, policy: &DestinationPolicy) -> Result<Uri, Refusal> {
    check_characters(url)?;
    let uri: Uri = url.parse().map_err(|_| malformed("It cannot be read as a URL."))?;
    let default_port = check_scheme(&uri, policy)?;
    let authority = uri.authority().ok_or_else(|| malformed("It names no host."))?;
    let port = check_authority(authority)?.unwrap_or(default_port);
    check_host(authority.host(), port, policy)?;
    Ok(uri)
}

fn check_characters(url: &str) -> Result<(), Refusal> {
    if url.len() > MAX_URL_BYTES {
        return Err(malformed(format!("It is longer than {MAX_URL_BYTES} bytes.")));
    }
    if !url.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(malformed("It holds a space, a control character or a character outside ASCII.")
            .hint("Write other characters percent-encoded, and an international host name in its xn-- form."));
    }
    match url.contains('#') {
        true => Err(malformed("It has a fragment, which is never sent.")),
        false => Ok(()),
    }
}

fn check_scheme(uri: &Uri, policy: &DestinationPolicy) -> Result<u16, Refusal> {
    match uri.scheme_str() {
        Some("https") => Ok(443),
        Some("http") if policy.allow_http => Ok(80),
        Some("http") => {
            Err(Refusal::new("webhook URL must use https").hint("Set hydra_webhooks.allow_http to allow plain http."))
        }
        _ => Err(Refusal::new("webhook URL must use https")),
    }
}

/// Checks the part with host and port. Returns the port, if there is one.
fn check_authority(authority: &Authority) -> Result<Option<u16>, Refusal> {
    if authority.as_str().contains('@') {
        return Err(malformed("It holds a user name or a password.")
            .hint("Remove it. Receivers can verify the signature, or a header that the subscription adds."));
    }
    match &authority.as_str()[authority.host().len()..] {
        "" => Ok(None),
        rest => port_of(rest).map(Some).ok_or_else(|| malformed("Its port is not a number between 1 and 65535.")),
    }
}

/// Reads the port from the text after the host, which must be `:` and a number. This is checked here, because after an
/// address in brackets the parser also accepts other text.
fn port_of(rest: &str) -> Option<u16> {
    let digits = rest.strip_prefix(':').filter(|digits| !digits.starts_with('+'))?;
    digits.parse().ok().filter(|number| *number > 0)
}

fn check_host(host: &str, port: u16, policy: &DestinationPolicy) -> Result<(), Refusal> {
    match literal(host)? {
        Some(address) => policy.judge(address, port).map_err(|reason| reason.refusal(NOT_ALLOWED, address)),
        None => check_name(host),
    }
}

/// Returns the address, if the host is an IP address. Only the form that every library reads in the same way is
/// accepted.
fn literal(host: &str) -> Result<Option<IpAddr>, Refusal> {
    if let Some(inner) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        let address: Option<Ipv6Addr> = inner.parse().ok();
        let canonical = address.filter(|address| address.to_string() == inner.to_ascii_lowercase());
        return canonical.map(|address| Some(address.into())).ok_or_else(not_canonical);
    }
    if !ends_in_a_number(host) {
        return Ok(None);
    }
    let address: Option<Ipv4Addr> = host.parse().ok();
    address.map(|address| Some(address.into())).ok_or_else(not_canonical)
}

/// Whether the last label of the host is a number. No top-level domain is a number, but several forms of IPv4 addresses
/// end in one.
fn ends_in_a_number(host: &str) -> bool {
    let last = host.trim_end_matches('.').rsplit('.').next().unwrap_or_default();
    let hex = last.strip_prefix("0x").or_else(|| last.strip_prefix("0X"));
    match hex {
        Some(digits) => digits.bytes().all(|byte| byte.is_ascii_hexdigit()),
        None => !last.is_empty() && last.bytes().all(|byte| byte.is_ascii_digit()),
    }
}

fn check_name(host: &str) -> Result<(), Refusal> {
    let well_formed = host.len() <= MAX_HOST_BYTES && host.split('.').all(is_label);
    match well_formed {
        true => Ok(()),
        false => Err(malformed("Its host is not a well-formed DNS name.")),
    }
}

/// Whether a label of a host name is well formed. The standard does not allow underscores, but some receivers have
/// them.
fn is_label(label: &str) -> bool {
    (1..=MAX_LABEL_BYTES).contains(&label.len())
        && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        && !label.starts_with('-')
        && !label.ends_with('-')
}

fn malformed(detail: impl Into<String>) -> Refusal {
    Refusal::new("invalid webhook URL").detail(detail)
}

fn not_canonical() -> Refusal {
    malformed("Its host is an IP address that is not in canonical form.")
        .hint("Write an IPv4 address as four decimal numbers, an IPv6 address in its shortest form.")
}

#[cfg(test)]
mod tests;
