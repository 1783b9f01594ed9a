//! Checks the addresses and URLs in the settings of a gateway. Errors are the detail of an error of Postgres.

use std::net::IpAddr;

use http::Uri;

/// Checks `hydra_webhooks.listen`: an address or name of this machine, or `*` for all addresses, and a port. Empty: nothing
/// listens.
pub fn check_listen(text: &str) -> Result<(), String> {
    if text.trim().is_empty() || host_of(text.trim()).is_some() {
        return Ok(());
    }
    Err(format!("\"{text}\" is not an address and a port, such as 127.0.0.1:8480, [::1]:8480 or localhost:8480."))
}

/// Returns whether only programs on this machine reach the address.
pub fn is_loopback(listen: &str) -> bool {
    host_of(listen).is_some_and(|host| host == "localhost" || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback()))
}

/// Returns the host of `host:port`; `None` if it is not of this form.
fn host_of(listen: &str) -> Option<&str> {
    let (host, port) = listen.rsplit_once(':')?;
    let is_port = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok();
    let bracketed = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let is_host = match bracketed {
        Some(address) => address.parse::<IpAddr>().is_ok_and(|ip| ip.is_ipv6()),
        None => host == "*" || is_ipv4_or_name(host),
    };
    (is_port && is_host).then(|| bracketed.unwrap_or(host))
}

fn is_ipv4_or_name(host: &str) -> bool {
    let is_label = |label: &str| {
        !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    let looks_like_number = host.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    host.len() <= 253
        && match host.parse::<IpAddr>() {
            Ok(ip) => ip.is_ipv4(),
            Err(_) => !looks_like_number && host.split('.').all(is_label),
        }
}

/// Checks `hydra_webhooks.public_url`: scheme, host and port alone.
pub fn check_public_url(text: &str) -> Result<(), String> {
    let is_good = |uri: Uri| {
        matches!(uri.scheme_str(), Some("http" | "https"))
            && uri.authority().is_some_and(|authority| !authority.as_str().contains('@'))
            && uri.path() == "/"
            && uri.query().is_none()
    };
    if text.trim().is_empty() || text.trim().parse().is_ok_and(is_good) && !text.contains('#') {
        return Ok(());
    }
    Err(format!("\"{text}\" is not a scheme, a host and optionally a port, such as https://hooks.example.com."))
}

/// Checks `hydra_webhooks.trusted_proxies`: addresses and CIDR blocks, separated by commas.
pub fn check_networks(text: &str) -> Result<(), String> {
    if text.trim().is_empty() {
        return Ok(());
    }
    match text.split(',').map(str::trim).find(|entry| !is_network(entry)) {
        Some(entry) => Err(format!("\"{entry}\" is not an IP address or a CIDR block, such as 10.0.0.0/8.")),
        None => Ok(()),
    }
}

fn is_network(entry: &str) -> bool {
    let (address, prefix) = entry.split_once('/').map_or((entry, None), |(address, prefix)| (address, Some(prefix)));
    let Ok(address) = address.parse::<IpAddr>() else { return false };
    let bits = if address.is_ipv4() { 32 } else { 128 };
    prefix.is_none_or(|prefix| prefix.parse::<u8>().is_ok_and(|prefix| prefix <= bits))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listen_is_a_host_and_a_port() {
        for good in
            ["", " ", "127.0.0.1:8480", "[::1]:8480", "localhost:0", "0.0.0.0:80", "*:80", "db-1.example.com:65535"]
        {
            assert_eq!(check_listen(good), Ok(()), "{good}");
        }
        for bad in [
            "8480",
            ":8480",
            "127.0.0.1",
            "127.0.0.1:",
            "127.0.0.1:65536",
            "127.0.0.1:+1",
            "127.0.0.300:80",
            "::1:8480",
            "[127.0.0.1]:80",
            "[::1:80",
            "http://localhost:80",
            "a b:80",
            "a..b:80",
            "127.0.0.1:80,127.0.0.1:81",
        ] {
            assert!(check_listen(bad).is_err_and(|detail| detail.contains(bad)), "{bad}");
        }
    }

    #[test]
    fn loopback_is_recognized() {
        let loopback = ["127.0.0.1:1", "127.8.0.1:1", "[::1]:1", "localhost:1"];
        assert!(loopback.iter().all(|listen| is_loopback(listen)));
        let others = ["0.0.0.0:1", "[::]:1", "*:1", "10.0.0.1:1", "example.com:1", ""];
        assert!(!others.iter().any(|listen| is_loopback(listen)));
    }

    #[test]
    fn a_public_url_has_scheme_and_host_and_nothing_after_them() {
        for good in ["", "https://hooks.example.com", "https://hooks.example.com/", "http://localhost:8480"] {
            assert_eq!(check_public_url(good), Ok(()), "{good}");
        }
        for bad in [
            "hooks.example.com",
            "ftp://example.com",
            "https://",
            "https://a/b",
            "https://a?b",
            "https://a#b",
            "https://u:p@a",
        ] {
            assert!(check_public_url(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn proxies_are_addresses_and_networks() {
        for good in ["", "10.0.0.1", "10.0.0.0/8, ::1,fd00::/8", "0.0.0.0/0"] {
            assert_eq!(check_networks(good), Ok(()), "{good}");
        }
        for bad in ["10.0.0.0/33", "::/129", "10.0.0.1,", "localhost", "10.0.0.1:80", "10.0.0.0/"] {
            assert!(check_networks(bad).is_err(), "{bad}");
        }
    }
}
