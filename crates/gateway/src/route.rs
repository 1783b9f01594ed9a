//! Whose request it is, by its path.
//!
//! A path without a surface is answered by the gateway, always in the same way, and the database does not hear of it.

use wire::token::{self, Kind, is_well_formed};

/// How much of the secret part of the URL of an adapter is shown: its prefix and six characters.
const SHOWN: usize = 10;

/// Which part of `hydra.serve` answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Surface {
    Console,
    Rest,
    Mcp,
    Gateway,
    Mail,
    Inbound,
}

impl Surface {
    pub fn name(self) -> &'static str {
        match self {
            Self::Console => "console",
            Self::Rest => "rest",
            Self::Mcp => "mcp",
            Self::Gateway => "gateway",
            Self::Mail => "mail",
            Self::Inbound => "inbound",
        }
    }

    /// Returns what the tokens of its visitors are.
    pub fn token(self) -> Kind {
        match self {
            Self::Console => Kind::Session,
            Self::Rest | Self::Mcp | Self::Gateway | Self::Mail => Kind::ApiKey,
            Self::Inbound => Kind::Inbound,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route<'a> {
    Surface(Surface),
    /// A one-time link, and its token.
    Link(&'a str),
    /// The URL of an inbound adapter, and its secret part.
    Inbound(&'a str),
    /// What is there for who knows only the address.
    Root,
    Alive,
    Ready,
    Stylesheet,
    Unknown,
}

impl<'a> Route<'a> {
    pub fn of(path: &'a str) -> Self {
        let below = |place: &str| path.strip_prefix(place).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        match path {
            "/" => Self::Root,
            "/healthz" => Self::Alive,
            "/readyz" => Self::Ready,
            "/login" => Self::Link(""),
            "/logout" => Self::Surface(Surface::Console),
            "/mcp" => Self::Surface(Surface::Mcp),
            _ if path == pages::stylesheet_path() => Self::Stylesheet,
            _ if below("/settings") => Self::Surface(Surface::Console),
            _ if below("/api/v1") => Self::Surface(Surface::Rest),
            _ => match (path.strip_prefix("/login/"), path.strip_prefix("/in/")) {
                (Some(token), _) if !token.contains('/') => Self::Link(token),
                (_, Some(token)) if !token.contains('/') => Self::Inbound(token),
                _ => Self::Unknown,
            },
        }
    }
}

/// Whether the path is the button that sends a test.
pub fn is_send_test(path: &str) -> bool {
    let parts: Vec<&str> = path.split('/').collect();
    matches!(parts[..], ["", "settings", "webhooks", _, "test"])
}

/// Returns the path as it may be logged: without anything that may be a secret. Of a path without a surface, only the
/// first part is shown, because it may be a misspelt path with a secret.
pub fn shown(path: &str) -> String {
    const LONGEST: usize = 200;
    let hide = |part: &str| if is_secret(part) { "…".to_owned() } else { part.to_owned() };
    let mut shown = match Route::of(path) {
        Route::Link(_) => "/login/…".to_owned(),
        // So much of it is shown in the settings, too.
        Route::Inbound(token) if is_well_formed(Kind::Inbound, token) => format!("/in/{}…", &token[..SHOWN]),
        Route::Inbound(_) => "/in/…".to_owned(),
        Route::Unknown => match path.trim_start_matches('/').split_once('/') {
            Some((first, _)) => format!("/{}/…", hide(first)),
            None => format!("/{}", hide(path.trim_start_matches('/'))),
        },
        _ => path.split('/').map(hide).collect::<Vec<_>>().join("/"),
    };
    if shown.len() > LONGEST {
        // A path has no characters of several bytes but those that were put here.
        let end = (0..=LONGEST).rev().find(|&end| shown.is_char_boundary(end)).unwrap_or(0);
        shown.truncate(end);
        shown.push('…');
    }
    shown
}

/// Whether a part of a path has what our secrets begin with, or is as long as one.
fn is_secret(part: &str) -> bool {
    let prefixes = [Kind::ApiKey, Kind::Link, Kind::Session, Kind::Inbound].map(token::Kind::prefix);
    prefixes.iter().any(|prefix| part.contains(prefix)) || part.contains("whsec_") || part.len() > 40
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_leads_to_its_surface_and_any_other_to_none() {
        for (path, route) in [
            ("/settings", Route::Surface(Surface::Console)),
            ("/settings/webhooks/7", Route::Surface(Surface::Console)),
            ("/logout", Route::Surface(Surface::Console)),
            ("/api/v1", Route::Surface(Surface::Rest)),
            ("/api/v1/me", Route::Surface(Surface::Rest)),
            ("/mcp", Route::Surface(Surface::Mcp)),
            ("/mcp/", Route::Unknown),
            ("/login/abc", Route::Link("abc")),
            ("/login", Route::Link("")),
            ("/healthz", Route::Alive),
            ("/readyz", Route::Ready),
            (pages::stylesheet_path(), Route::Stylesheet),
            ("/", Route::Root),
            ("", Route::Unknown),
            ("/settingsx", Route::Unknown),
            ("/Settings", Route::Unknown),
            ("//settings", Route::Unknown),
            ("/api/v10", Route::Unknown),
            ("/api", Route::Unknown),
            ("/login/a/b", Route::Unknown),
            ("/in/abc", Route::Inbound("abc")),
            ("/in/abc/d", Route::Unknown),
            ("/in", Route::Unknown),
            ("/logout/", Route::Unknown),
            ("/heartbeat", Route::Unknown),
        ] {
            assert_eq!(Route::of(path), route, "{path}");
        }
    }

    #[test]
    fn no_secret_of_a_path_is_shown() {
        let token = "hyl_SecretSecretSecretSecretSecretSecretSecretSecret";
        for path in [
            format!("/login/{token}"),
            format!("/login/{token}/x"),
            format!("/logim/{token}"),
            format!("/{token}"),
            format!("/settings/{token}"),
            format!("/settings/x%20{token}"),
            format!("/in/{}", &token[4..]),
            format!("/in/{token}"),
            format!("/in/{token}/x"),
            format!("/api/v1/{}", &token[4..]),
            format!("/{}", &token[4..]),
        ] {
            assert!(!shown(&path).contains("Secret"), "{path}: {}", shown(&path));
        }
        assert_eq!(shown("/settings/webhooks/7/edit"), "/settings/webhooks/7/edit");
        assert_eq!(shown("/"), "/");
        assert!(shown(&format!("/settings/{}", "a/".repeat(500))).chars().count() <= 201);
    }

    #[test]
    fn only_the_button_of_a_webhook_sends_a_test() {
        assert!(is_send_test("/settings/webhooks/7/test"));
        for path in ["/settings/webhooks/test", "/settings/webhooks/7/test/", "/settings/webhooks/7/testx"] {
            assert!(!is_send_test(path), "{path}");
        }
    }
}
