//! What the supervisor in the server and the gateway that it runs say to each other, and how the gateway logs in.
//!
//! The gateway reads its settings as one line of JSON from its standard input; each further line replaces them. It
//! writes a line of JSON to its standard output when its state changes. The end of its input asks it to end.

mod addresses;
mod login;

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

pub use addresses::{check_listen, check_networks, check_public_url, is_loopback};
pub use login::Login;

/// The settings of a gateway.
pub struct Settings<'a> {
    pub listen: &'a str,
    /// Where mail is taken; empty: nowhere.
    pub lmtp_listen: &'a str,
    /// Connection strings, of which the first that works is used.
    pub dsns: &'a [String],
    pub database: &'a str,
    pub public_url: &'a str,
    pub trusted_proxies: &'a str,
    pub tls_certificate: &'a Path,
    pub tls_key: &'a Path,
    pub connections: u32,
    /// In bytes.
    pub max_request: u64,
    /// In bytes.
    pub max_mail: u64,
    pub request_timeout: Duration,
    pub max_clients: u32,
}

impl Settings<'_> {
    /// Returns the line that tells the gateway these settings. It has a secret: the password in the connection strings.
    pub fn to_line(&self) -> String {
        let line = json!({
            "listen": self.listen,
            "lmtp_listen": self.lmtp_listen,
            "dsns": self.dsns,
            "database": self.database,
            "public_url": self.public_url,
            "trusted_proxies": self.trusted_proxies,
            "tls_certificate": self.tls_certificate.to_string_lossy(),
            "tls_key": self.tls_key.to_string_lossy(),
            "connections": self.connections,
            "max_request": self.max_request,
            "max_mail": self.max_mail,
            "request_timeout_ms": self.request_timeout.as_millis() as u64,
            "max_clients": self.max_clients,
        });
        format!("{line}\n")
    }
}

/// A change of the state of a gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Report {
    Listening {
        address: String,
    },
    /// It listens as before, because it cannot use the settings that it was told last.
    Refused {
        address: String,
        error: String,
        hint: String,
    },
    /// It cannot listen.
    Failed {
        error: String,
        hint: String,
    },
    /// It cannot log in.
    CannotConnect {
        error: String,
    },
}

impl Report {
    /// Reads a line; `None` if this version does not know it.
    pub fn parse(line: &str) -> Option<Self> {
        let line: Value = serde_json::from_str(line).ok()?;
        let text = |name: &str| line[name].as_str().unwrap_or_default().to_owned();
        match line["state"].as_str()? {
            "listening" if line["error"].is_string() => {
                Some(Self::Refused { address: text("address"), error: text("error"), hint: text("hint") })
            }
            "listening" => Some(Self::Listening { address: text("address") }),
            "failed" => Some(Self::Failed { error: text("error"), hint: text("hint") }),
            "cannot_connect" => Some(Self::CannotConnect { error: text("error") }),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_one_line_whatever_they_contain() {
        let dsns = ["host='/run/a b' password=x".to_owned(), "host=::1\n".to_owned()];
        let settings = Settings {
            listen: "127.0.0.1:8480",
            lmtp_listen: "",
            dsns: &dsns,
            database: "help\n\"desk\"",
            public_url: "",
            trusted_proxies: "10.0.0.0/8",
            tls_certificate: Path::new("/etc/a.pem"),
            tls_key: Path::new(""),
            connections: 8,
            max_request: 1 << 20,
            max_mail: 25 << 20,
            request_timeout: Duration::from_secs(10),
            max_clients: 10_000,
        };
        let line = settings.to_line();
        assert_eq!(line.find('\n'), Some(line.len() - 1));
        let read: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(read["dsns"], json!(dsns));
        assert_eq!(read["database"], "help\n\"desk\"");
        assert_eq!(read["tls_certificate"], "/etc/a.pem");
        assert_eq!((&read["max_request"], &read["request_timeout_ms"]), (&json!(1_048_576), &json!(10_000)));
    }

    #[test]
    fn reports_of_known_states_are_read_and_others_are_skipped() {
        let listening = Report::Listening { address: "127.0.0.1:1".into() };
        assert_eq!(Report::parse(r#"{"state": "listening", "address": "127.0.0.1:1"}"#), Some(listening));
        let refused = Report::Refused { address: "[::1]:1".into(), error: "no".into(), hint: "other".into() };
        let line = r#"{"state": "listening", "address": "[::1]:1", "error": "no", "hint": "other"}"#;
        assert_eq!(Report::parse(line), Some(refused));
        let failed = Report::Failed { error: "in use".into(), hint: String::new() };
        assert_eq!(Report::parse(r#"{"state": "failed", "error": "in use"}"#), Some(failed));
        let refused = Report::CannotConnect { error: "no".into() };
        assert_eq!(Report::parse(r#"{"state": "cannot_connect", "error": "no", "more": 1}"#), Some(refused));
        for odd in ["", "listening", "[]", "{}", r#"{"state": 1}"#, r#"{"state": "dancing"}"#] {
            assert_eq!(Report::parse(odd), None, "{odd}");
        }
    }
}
