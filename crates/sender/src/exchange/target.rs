//! What is the same for all requests to a URL.

use std::net::IpAddr;

use http::Uri;
use rustls::pki_types::ServerName;
use wire::attempt::{ErrorClass, Failure};

use super::message;
use crate::destination::{DestinationPolicy, parse_url};

#[derive(Debug)]
pub struct Target {
    pub host: Host,
    pub port: u16,
    /// The name that the certificate must have. `None` without TLS.
    pub server_name: Option<ServerName<'static>>,
    beginning: Vec<u8>,
}

#[derive(Debug, PartialEq, Eq)]
pub enum Host {
    Address(IpAddr),
    Name(String),
}

impl Target {
    /// Reads a URL, and checks it under this policy.
    pub fn new(url: &str, policy: &DestinationPolicy) -> Result<Self, Failure> {
        let uri =
            parse_url(url, policy).map_err(|refusal| Failure::new(ErrorClass::Destination, refusal.in_one_line()))?;
        let has_tls = uri.scheme_str() != Some("http");
        let name = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
        let server_name = ServerName::try_from(name.to_owned())
            .map_err(|_| Failure::new(ErrorClass::Tls, "host name cannot be verified"));
        Ok(Self {
            host: name.parse().map_or_else(|_| Host::Name(name.to_owned()), Host::Address),
            port: port(&uri),
            server_name: has_tls.then_some(server_name).transpose()?,
            beginning: message::beginning(&uri),
        })
    }

    /// Whether a connection for one target can serve the other: same scheme, host and port.
    pub fn has_origin_of(&self, other: &Self) -> bool {
        (&self.host, self.port, &self.server_name) == (&other.host, other.port, &other.server_name)
    }

    /// The beginning of each request.
    pub fn beginning(&self) -> &[u8] {
        &self.beginning
    }
}

fn port(uri: &Uri) -> u16 {
    uri.port_u16().unwrap_or(if uri.scheme_str() == Some("http") { 80 } else { 443 })
}
