//! The cookies of a visitor of the settings pages: the session, and before that the page that the visitor wanted.
//!
//! Over TLS it has the prefix `__Host-`, with which a browser accepts it only from this host and never sends it without
//! TLS. Over plain HTTP on loopback a browser would not keep such a cookie, so there it has another name.

use crate::wanted;

/// How the browser of the visitor is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    Tls,
    Loopback,
}

impl Transport {
    pub fn cookie_name(self) -> &'static str {
        match self {
            Self::Tls => "__Host-hydra",
            Self::Loopback => "hydra",
        }
    }

    /// The name of the cookie with the page that a visitor without a session wanted.
    pub fn wanted_name(self) -> &'static str {
        match self {
            Self::Tls => "__Host-hydra-page",
            Self::Loopback => "hydra-page",
        }
    }

    fn attributes(self) -> &'static str {
        match self {
            Self::Tls => "Path=/; Secure; HttpOnly; SameSite=Strict",
            Self::Loopback => "Path=/; HttpOnly; SameSite=Strict",
        }
    }

    /// Returns the value of Set-Cookie that keeps a session for so many seconds.
    pub fn keep(self, session: &str, seconds: u64) -> String {
        self.set(self.cookie_name(), session, seconds)
    }

    /// Returns the value of Set-Cookie that ends the session in the browser.
    pub fn forget(self) -> String {
        self.set(self.cookie_name(), "", 0)
    }

    /// Returns the value of Set-Cookie that keeps the path of a page.
    pub fn keep_wanted(self, path: &str) -> String {
        self.set(self.wanted_name(), path, wanted::KEPT_FOR)
    }

    /// Returns the value of Set-Cookie that makes the browser forget it.
    pub fn forget_wanted(self) -> String {
        self.set(self.wanted_name(), "", 0)
    }

    fn set(self, name: &str, value: &str, seconds: u64) -> String {
        format!("{name}={value}; {}; Max-Age={seconds}", self.attributes())
    }
}

/// Returns the value of a cookie. If it occurs twice, somebody else has set one of the two, and neither is used.
pub fn find<'a>(headers: impl Iterator<Item = &'a str>, name: &str) -> Option<&'a str> {
    let cookies = headers.flat_map(|header| header.split(';'));
    let mut values = cookies.filter_map(|cookie| match cookie.trim_matches([' ', '\t']).split_once('=') {
        Some((other, value)) if other == name => Some(value),
        _ => None,
    });
    let value = values.next()?;
    values.next().is_none().then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_found_by_its_whole_name_and_only_if_there_is_one() {
        let find_in = |headers: &[&'static str]| find(headers.iter().copied(), "hydra");
        assert_eq!(find_in(&["hydra=a"]), Some("a"));
        assert_eq!(find_in(&["x=1; hydra=a=b;y=2"]), Some("a=b"));
        assert_eq!(find_in(&["x=1", "y=2; hydra=a"]), Some("a"));
        assert_eq!(find_in(&["xhydra=a; hydrax=b; Hydra=c; __Host-hydra=d; hydra"]), None);
        assert_eq!(find_in(&["hydra=a; hydra=b"]), None);
        assert_eq!(find_in(&["hydra=a", "hydra=a"]), None);
        assert_eq!(find_in(&[""]), None);
    }

    #[test]
    fn a_cookie_over_tls_has_all_that_its_prefix_demands() {
        assert_eq!(
            Transport::Tls.keep("t", 60),
            "__Host-hydra=t; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=60"
        );
        assert_eq!(Transport::Loopback.keep("t", 60), "hydra=t; Path=/; HttpOnly; SameSite=Strict; Max-Age=60");
        assert_eq!(
            Transport::Tls.keep_wanted("/settings/approvals/7"),
            "__Host-hydra-page=/settings/approvals/7; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=3600"
        );
        assert_eq!(Transport::Loopback.forget(), "hydra=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0");
    }
}
