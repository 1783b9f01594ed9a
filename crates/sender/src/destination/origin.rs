//! The part of a URL that everybody may see. For some receivers, the path or the query is the credential.

use http::Uri;

/// Returns the scheme, host and port of a URL, without the default port. `None` if the URL cannot be read.
pub fn origin(url: &str) -> Option<String> {
    let uri: Uri = url.parse().ok()?;
    let (scheme, host) = (uri.scheme_str()?.to_ascii_lowercase(), uri.host()?.to_ascii_lowercase());
    let default_port = if scheme == "https" { 443 } else { 80 };
    Some(match uri.port_u16() {
        Some(port) if port != default_port => format!("{scheme}://{host}:{port}"),
        _ => format!("{scheme}://{host}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_scheme_host_and_port_and_nothing_else() {
        for (url, expected) in [
            ("https://example.com/T00/token?key=s3cret", "https://example.com"),
            ("HTTPS://Example.COM:443?key=s3cret", "https://example.com"),
            ("https://example.com:8443/", "https://example.com:8443"),
            ("http://example.com:80/", "http://example.com"),
            ("http://example.com:443/", "http://example.com:443"),
            ("https://user:s3cret@example.com/", "https://example.com"),
            ("https://[2606:4700::1111]:8443/x", "https://[2606:4700::1111]:8443"),
        ] {
            assert_eq!(origin(url).as_deref(), Some(expected), "{url}");
        }
        for url in ["", "/path", "not a url", "https://"] {
            assert_eq!(origin(url), None, "{url}");
        }
    }
}
