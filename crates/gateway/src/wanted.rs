//! The page that a visitor wanted before signing in, such as that of an approval. A cookie keeps its path, and after the
//! visitor has signed in, the browser goes there.
//!
//! Any site can make a browser ask for any of our paths. So only a path of the settings pages is kept, without its query:
//! to look at such a page changes nothing, and it is never on another site.

/// How many seconds it is kept. The visitor may have to ask for a link first.
pub const KEPT_FOR: u64 = 3600;

/// No page has a longer path.
const LONGEST: usize = 100;

/// Whether a visitor who has signed in can be led to this path.
pub fn is_page(path: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'/' | b'-');
    path.len() <= LONGEST && path.starts_with("/settings/") && path.bytes().all(is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_path_of_a_settings_page_is_followed() {
        assert!(is_page("/settings/approvals/7") && is_page("/settings/inbound-adapters/1/events/2"));
        let long = format!("/settings/{}", "a".repeat(LONGEST));
        for other in [
            "",
            "/settings",
            "//evil.example/settings/approvals/7",
            "https://evil.example/settings/",
            "/login/x",
            "/settings/../login",
            "/settings/a?done=approved",
            "/settings/\\evil.example",
            "/settings/%2e%2e/x",
            "/settings/a\r\nset-cookie: x=1",
            "/settings/Ä",
            &long,
        ] {
            assert!(!is_page(other), "{other}");
        }
    }
}
