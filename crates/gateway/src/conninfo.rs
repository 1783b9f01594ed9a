//! Connection strings, as libpq reads them.
//!
//! The client library knows most of libpq's parameters. It does not know the modes of TLS that check the certificate of
//! the server, nor the file with the certificates to check it by, so those two are taken out here.

use std::path::PathBuf;

use tokio_postgres::Config;
use tokio_postgres::config::SslMode;

/// How far TLS is required, and what the certificate of the server has to show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Check {
    /// As libpq with `prefer` and `require`: TLS keeps out listeners, but not somebody who pretends to be the server.
    Nothing,
    /// That an authority has signed it: one of this file, or one that the system trusts.
    Authority(Option<PathBuf>),
    /// The same, and that it is for the host.
    Host(Option<PathBuf>),
}

/// One way to connect.
#[derive(Debug, Clone, PartialEq)]
pub struct Target {
    pub config: Config,
    pub check: Check,
}

impl Target {
    pub fn parse(dsn: &str) -> Result<Self, String> {
        let dsn = dsn.trim();
        let is_url = dsn.starts_with("postgresql://") || dsn.starts_with("postgres://");
        let (rest, mode, root) = if is_url { split_url(dsn) } else { split_pairs(dsn)? };
        let root = root.filter(|root| root != "system").map(PathBuf::from);
        let (mode, check) = match mode.as_deref() {
            Some("disable") => (SslMode::Disable, Check::Nothing),
            None | Some("allow" | "prefer") => (SslMode::Prefer, Check::Nothing),
            // libpq checks in this mode if there is a file to check by.
            Some("require") if root.is_some() => (SslMode::Require, Check::Authority(root)),
            Some("require") => (SslMode::Require, Check::Nothing),
            Some("verify-ca") => (SslMode::Require, Check::Authority(root)),
            Some("verify-full") => (SslMode::Require, Check::Host(root)),
            Some(_) => return Err("sslmode is none of disable, prefer, require, verify-ca and verify-full".into()),
        };
        let mut config: Config = rest.parse().map_err(|error: tokio_postgres::Error| reason(&error))?;
        config.ssl_mode(mode).application_name("hydra-gateway");
        if config.get_hosts().is_empty() {
            config.host("/var/run/postgresql");
        }
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(std::time::Duration::from_secs(5));
        }
        Ok(Self { config, check })
    }
}

/// The reason for which the library refuses a string. It names the parameter, not its value.
fn reason(error: &tokio_postgres::Error) -> String {
    std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string)
}

/// Takes `sslmode` and `sslrootcert` out of the query of a URL.
fn split_url(url: &str) -> (String, Option<String>, Option<String>) {
    let (mut mode, mut root) = (None, None);
    let Some((before, query)) = url.split_once('?') else { return (url.into(), None, None) };
    let kept: Vec<&str> = query
        .split('&')
        .filter(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            match name {
                "sslmode" => mode = Some(value.to_owned()),
                "sslrootcert" => root = Some(decoded(value)),
                _ => return true,
            }
            false
        })
        .collect();
    let rest = if kept.is_empty() { before.to_owned() } else { format!("{before}?{}", kept.join("&")) };
    (rest, mode, root)
}

/// Decodes `%2F` and the like.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let escaped = (first == b'%').then(|| after.get(..2)).flatten();
        let escaped = escaped.and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        bytes.push(escaped.unwrap_or(first));
        rest = if escaped.is_some() { &after[2..] } else { after };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Takes `sslmode` and `sslrootcert` out of pairs `name = value`, whose values may be quoted.
fn split_pairs(text: &str) -> Result<(String, Option<String>, Option<String>), String> {
    let (mut kept, mut mode, mut root) = (String::new(), None, None);
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let (name, after) = rest.split_once('=').ok_or("a parameter has no \"=\"")?;
        let name = name.trim();
        let (value, after) = read_value(after.trim_start())?;
        match name {
            "sslmode" => mode = Some(value),
            "sslrootcert" => root = Some(value),
            _ => {
                let value = value.replace('\\', "\\\\").replace('\'', "\\'");
                kept += &format!("{name}='{value}' ");
            }
        }
        rest = after.trim_start();
    }
    Ok((kept, mode, root))
}

/// Reads a value, which ends at a blank or at its closing quote, and returns what follows.
fn read_value(text: &str) -> Result<(String, &str), String> {
    let quoted = text.starts_with('\'');
    let mut value = String::new();
    let mut chars = text.char_indices().skip(usize::from(quoted));
    while let Some((at, char)) = chars.next() {
        match char {
            '\'' if quoted => return Ok((value, &text[at + 1..])),
            '\\' => value.extend(chars.next().map(|(_, escaped)| escaped)),
            _ if !quoted && char.is_whitespace() => return Ok((value, &text[at..])),
            _ => value.push(char),
        }
    }
    if quoted { Err("a quoted value has no end".into()) } else { Ok((value, "")) }
}

#[cfg(test)]
mod tests {
    use tokio_postgres::config::Host;

    use super::*;

    fn target(dsn: &str) -> Target {
        Target::parse(dsn).unwrap_or_else(|error| panic!("{dsn}: {error}"))
    }

    #[test]
    fn a_connection_string_is_read_as_by_libpq() {
        for dsn in [
            "host=db.example.com port = 5433 user=gw password='a b\\'c' dbname=help sslmode=verify-full sslrootcert=/ca.pem",
            "postgresql://gw:a%20b'c@db.example.com:5433/help?sslmode=verify-full&sslrootcert=%2Fca.pem",
        ] {
            let target = target(dsn);
            let config = &target.config;
            assert_eq!(config.get_hosts(), [Host::Tcp("db.example.com".into())]);
            assert_eq!((config.get_ports(), config.get_user()), (&[5433][..], Some("gw")));
            assert_eq!((config.get_password(), config.get_dbname()), (Some(&b"a b'c"[..]), Some("help")));
            assert_eq!(config.get_ssl_mode(), SslMode::Require);
            assert_eq!(target.check, Check::Host(Some("/ca.pem".into())));
        }
        assert_eq!(target("dbname=x").config.get_hosts(), [Host::Unix("/var/run/postgresql".into())]);
    }

    #[test]
    fn the_modes_of_tls_are_those_of_libpq() {
        for (mode, expected) in [
            ("", (SslMode::Prefer, Check::Nothing)),
            ("sslmode=disable", (SslMode::Disable, Check::Nothing)),
            ("sslmode=require", (SslMode::Require, Check::Nothing)),
            ("sslmode=require sslrootcert=/ca", (SslMode::Require, Check::Authority(Some("/ca".into())))),
            ("sslmode=verify-ca", (SslMode::Require, Check::Authority(None))),
            ("sslmode=verify-full sslrootcert=system", (SslMode::Require, Check::Host(None))),
        ] {
            let target = target(&format!("host=h {mode}"));
            assert_eq!((target.config.get_ssl_mode(), target.check), expected, "{mode}");
        }
        assert!(Target::parse("host=h sslmode=verify").is_err());
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        for dsn in ["host", "host='x", "port=none", "unheard=of", "postgresql://h:port/"] {
            assert!(Target::parse(dsn).is_err(), "{dsn}");
        }
    }
}
