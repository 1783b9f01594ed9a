//! The settings of a gateway, as they come from the command line or from the supervisor in the server, and what they
//! mean.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use crate::conninfo::Target;
use crate::forwarded::Networks;
use crate::place::PublicUrl;

const SMALLEST_REQUEST: usize = 1 << 10;
const LARGEST_REQUEST: usize = 64 << 20;
const MOST_CONNECTIONS: usize = 1000;
const MOST_CLIENTS: usize = 1_000_000;

/// Settings as they are written.
#[derive(Debug, Clone, Deserialize, PartialEq, Eq)]
#[serde(default)]
pub struct Given {
    pub listen: String,
    /// Empty: no mail is taken.
    pub lmtp_listen: String,
    pub dsn: String,
    /// Instead of `dsn`: tried in this order.
    pub dsns: Vec<String>,
    pub public_url: String,
    pub connections: usize,
    /// In bytes.
    pub max_request: usize,
    /// In bytes.
    pub max_mail: usize,
    pub request_timeout_ms: u64,
    pub max_clients: usize,
    pub trusted_proxies: String,
    pub tls_certificate: String,
    pub tls_key: String,
    pub reuse_port: bool,
}

impl Default for Given {
    fn default() -> Self {
        Self {
            listen: String::new(),
            lmtp_listen: String::new(),
            dsn: String::new(),
            dsns: Vec::new(),
            public_url: String::new(),
            connections: 8,
            max_request: 1 << 20,
            max_mail: 25 << 20,
            request_timeout_ms: 10_000,
            max_clients: 12_000,
            trusted_proxies: String::new(),
            tls_certificate: String::new(),
            tls_key: String::new(),
            reuse_port: false,
        }
    }
}

/// Settings that fit.
#[derive(Debug, Clone)]
pub struct Settings {
    pub listen: String,
    pub lmtp_listen: Option<String>,
    pub reuse_port: bool,
    pub database: Database,
    pub public_url: Option<PublicUrl>,
    pub max_request: usize,
    pub max_mail: usize,
    pub request_timeout: Duration,
    pub max_clients: usize,
    pub trusted_proxies: Networks,
    pub certificate: Option<Certificate>,
}

/// How to reach the database.
#[derive(Debug, Clone, PartialEq)]
pub struct Database {
    pub targets: Vec<Target>,
    pub connections: usize,
}

/// Files in PEM format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    pub chain: PathBuf,
    pub key: PathBuf,
}

/// What is wrong, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    pub error: String,
    pub hint: String,
}

impl Fault {
    pub fn new(error: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { error: error.into(), hint: hint.into() }
    }
}

impl Settings {
    pub fn check(given: &Given) -> Result<Self, Fault> {
        let within = |name: &str, value: usize, least: usize, most: usize| match value {
            _ if (least..=most).contains(&value) => Ok(value),
            _ => Err(Fault::new(format!("{name} is {value}"), format!("Set it to {least} to {most}."))),
        };
        let wrong = |name: &str, error: &dyn std::fmt::Display| {
            Fault::new(format!("{name}: {error}"), format!("Correct {name}, or leave it empty."))
        };
        if given.listen.is_empty() {
            return Err(Fault::new("there is no address to listen on", "Set listen, for example to 127.0.0.1:8480."));
        }
        let public_url = match given.public_url.as_str() {
            "" => None,
            url => Some(url.parse().map_err(|error| wrong("public_url", &error))?),
        };
        let certificate = match (given.tls_certificate.as_str(), given.tls_key.as_str()) {
            ("", "") => None,
            ("", _) | (_, "") => {
                return Err(Fault::new(
                    "of tls_certificate and tls_key, one is missing",
                    "Set both, or neither for plain HTTP.",
                ));
            }
            (chain, key) => Some(Certificate { chain: chain.into(), key: key.into() }),
        };
        let lmtp_listen = Some(given.lmtp_listen.trim()).filter(|listen| !listen.is_empty());
        if lmtp_listen.is_some_and(|listen| listen.ends_with(":25")) {
            return Err(Fault::new(
                "lmtp_listen has the port of SMTP",
                "Strangers send there, and LMTP is for a mail server that has checked them. Choose another port.",
            ));
        }
        let timeout = usize::try_from(given.request_timeout_ms).unwrap_or(usize::MAX);
        Ok(Self {
            listen: given.listen.clone(),
            lmtp_listen: lmtp_listen.map(str::to_owned),
            reuse_port: given.reuse_port,
            database: Database::check(given, within("connections", given.connections, 1, MOST_CONNECTIONS)?)?,
            public_url,
            max_request: within("max_request", given.max_request, SMALLEST_REQUEST, LARGEST_REQUEST)?,
            max_mail: within("max_mail", given.max_mail, SMALLEST_REQUEST, LARGEST_REQUEST)?,
            request_timeout: Duration::from_millis(within("request_timeout_ms", timeout, 100, 600_000)? as u64),
            max_clients: within("max_clients", given.max_clients, 1, MOST_CLIENTS)?,
            trusted_proxies: given.trusted_proxies.parse().map_err(|error| wrong("trusted_proxies", &error))?,
            certificate,
        })
    }
}

impl Database {
    fn check(given: &Given, connections: usize) -> Result<Self, Fault> {
        let dsns = if given.dsns.is_empty() { std::slice::from_ref(&given.dsn) } else { &given.dsns };
        if dsns.iter().any(|dsn| dsn.trim().is_empty()) {
            return Err(Fault::new(
                "there is no connection string",
                "Set --dsn or the environment variable HYDRA_DSN, for example to \
                 host=db.example.com user=gateway dbname=helpdesk sslmode=verify-full.",
            ));
        }
        let targets = dsns.iter().map(|dsn| Target::parse(dsn)).collect::<Result<_, _>>();
        let hint = "It is written as for psql: pairs name=value, or a URL that begins with postgresql://.";
        Ok(Self {
            targets: targets.map_err(|error| Fault::new(format!("the connection string: {error}"), hint))?,
            connections,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(change: impl FnOnce(&mut Given)) -> Result<Settings, Fault> {
        let mut given = Given { listen: "127.0.0.1:8480".into(), dsn: "host=/tmp dbname=x".into(), ..Given::default() };
        change(&mut given);
        Settings::check(&given)
    }

    #[test]
    fn settings_that_fit_are_accepted() {
        let settings = given(|given| given.public_url = "https://hooks.example.com".into()).unwrap();
        assert_eq!(settings.request_timeout, Duration::from_secs(10));
        assert_eq!(settings.database.targets.len(), 1);
        let two = given(|given| given.dsns = vec!["host=/tmp".into(), "host=127.0.0.1".into()]).unwrap();
        assert_eq!(two.database.targets.len(), 2);
    }

    #[test]
    fn what_is_wrong_is_named_with_what_to_do() {
        type Change = fn(&mut Given);
        let cases: [(&str, Change); 10] = [
            ("lmtp_listen", |given| given.lmtp_listen = "0.0.0.0:25".into()),
            ("listen", |given| given.listen.clear()),
            ("connection string", |given| given.dsn.clear()),
            ("connection string", |given| given.dsn = "port=none".into()),
            ("connections", |given| given.connections = 0),
            ("max_request", |given| given.max_request = 1),
            ("request_timeout", |given| given.request_timeout_ms = u64::MAX),
            ("public_url", |given| given.public_url = "hooks".into()),
            ("trusted_proxies", |given| given.trusted_proxies = "all".into()),
            ("tls_key", |given| given.tls_certificate = "/x".into()),
        ];
        for (name, change) in cases {
            let fault = given(change).expect_err(name);
            assert!(fault.error.contains(name) || fault.hint.contains(name), "{fault:?}");
            assert!(fault.hint.ends_with('.'), "{fault:?}");
        }
    }

    #[test]
    fn no_fault_of_a_connection_string_shows_the_password() {
        for dsn in ["password=hush port=none", "postgresql://u:hush@h:none/x", "password='hush", "hush=hush=x"] {
            if let Err(fault) = given(|given| given.dsn = dsn.into()) {
                assert!(!fault.error.contains("hush") || dsn.starts_with("hush"), "{fault:?}");
            }
        }
    }
}
