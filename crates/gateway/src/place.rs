//! Where visitors believe to be: the host of a request, the way that it took, and whether one of our pages sent it.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use crate::cookie::Transport;

/// What URLs that are shown to people begin with: a scheme and a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicUrl {
    https: bool,
    /// Without the port of the scheme, and in lower case.
    host: String,
}

#[derive(Debug, PartialEq, Eq)]
pub struct NotPublicUrl(String);

impl fmt::Display for NotPublicUrl {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "\"{}\" is not a URL such as https://hooks.example.com, without a path", self.0)
    }
}

impl std::error::Error for NotPublicUrl {}

impl FromStr for PublicUrl {
    type Err = NotPublicUrl;

    fn from_str(text: &str) -> Result<Self, NotPublicUrl> {
        let error = || NotPublicUrl(text.into());
        let (scheme, rest) = text.split_once("://").ok_or_else(error)?;
        let https = match scheme.to_ascii_lowercase().as_str() {
            "https" => true,
            "http" => false,
            _ => return Err(error()),
        };
        let host = canonical_host(rest.strip_suffix('/').unwrap_or(rest), https).ok_or_else(error)?;
        Ok(Self { https, host })
    }
}

impl fmt::Display for PublicUrl {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}://{}", if self.https { "https" } else { "http" }, self.host)
    }
}

/// Returns a host and port in lower case, without the port that the scheme has anyway.
fn canonical_host(text: &str, https: bool) -> Option<String> {
    let (name, port) = match text.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') => (name, Some(port)),
        _ => (text, None),
    };
    let is_v6 = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let is_name = match is_v6 {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => {
            let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
            !name.is_empty() && name.bytes().all(fits)
        }
    };
    let is_port = port.is_none_or(|port| port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok());
    if !is_name || !is_port {
        return None;
    }
    let usual = if https { "443" } else { "80" };
    let name = name.to_ascii_lowercase();
    Some(match port {
        Some(port) if port != usual => format!("{name}:{port}"),
        _ => name,
    })
}

/// Whether a canonical host is this machine itself.
pub fn is_loopback_host(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') => name,
        _ => host,
    };
    let address = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    name == "localhost" || address.is_ok_and(|address| address.to_canonical().is_loopback())
}

/// The way that a request took.
#[derive(Debug, Clone, Copy)]
pub struct Way<'a> {
    /// Whether the connection to the gateway has TLS.
    pub tls: bool,
    pub client: IpAddr,
    /// Whether the other end of the connection is a trusted proxy.
    pub trusted: bool,
    /// The headers `X-Forwarded-Proto` and `X-Forwarded-For` or `Forwarded`, if they are there.
    pub forwarded_proto: Option<&'a str>,
    pub forwarded: bool,
    /// The header `Host`.
    pub host: &'a str,
}

/// Why a request is not answered at this place.
#[derive(Debug, PartialEq, Eq)]
pub enum Misplaced {
    Host,
    /// The settings pages are not shown without TLS, with what to do.
    Plain(String),
    OtherOrigin,
    /// A page of another site has made the request.
    OtherPage,
}

impl Way<'_> {
    fn is_https(&self, public: Option<&PublicUrl>) -> bool {
        self.tls
            || self.trusted
                && match self.forwarded_proto {
                    Some(proto) => proto.trim().eq_ignore_ascii_case("https"),
                    None => public.is_some_and(|url| url.https),
                }
    }

    /// Refuses a host that is not the one of the public URL. Programs on this machine may use its own names.
    pub fn check_host(&self, public: Option<&PublicUrl>) -> Result<(), Misplaced> {
        let host = canonical_host(self.host, self.is_https(public)).ok_or(Misplaced::Host)?;
        let Some(public) = public else { return Ok(()) };
        let is_local = self.client.is_loopback() && is_loopback_host(&host);
        if host == public.host || is_local { Ok(()) } else { Err(Misplaced::Host) }
    }

    /// Returns how the browser is reached, which decides about the cookie.
    pub fn transport(&self, public: Option<&PublicUrl>) -> Result<Transport, Misplaced> {
        if self.is_https(public) {
            return Ok(Transport::Tls);
        }
        let mend = match public {
            Some(url) if url.https => format!("Open {url}/settings instead."),
            _ => "Set tls_certificate and tls_key, or public_url and trusted_proxies if a proxy has the certificate."
                .to_owned(),
        };
        let is_local = canonical_host(self.host, false).is_some_and(|host| is_loopback_host(&host));
        if self.client.is_loopback() && is_local && (self.trusted || !self.forwarded) {
            Ok(Transport::Loopback)
        } else {
            Err(Misplaced::Plain(mend))
        }
    }

    /// Refuses a request that a page of another site has made. Programs send no origin. Without a public URL, only the names
    /// of this machine are known to be ours: any other name may lead here because somebody has made it do so.
    pub fn check_page(&self, public: Option<&PublicUrl>, origin: Option<&str>) -> Result<(), Misplaced> {
        let Some(origin) = origin else { return Ok(()) };
        let https = self.is_https(public);
        let own = canonical_host(self.host, https).map(|host| PublicUrl { https, host });
        let is_own = origin.parse().is_ok_and(|origin: PublicUrl| {
            let is_local = self.client.is_loopback() && is_loopback_host(&origin.host);
            Some(&origin) == public || is_local && Some(&origin) == own.as_ref()
        });
        if is_own { Ok(()) } else { Err(Misplaced::OtherPage) }
    }

    /// Refuses a form that another site has sent. Every browser of today says where a form comes from, in one of two
    /// headers. What has neither is no browser, and then nobody can have tricked a visitor.
    pub fn check_origin(
        &self,
        public: Option<&PublicUrl>,
        fetch_site: Option<&str>,
        origin: Option<&str>,
    ) -> Result<(), Misplaced> {
        let is_own = match (fetch_site, origin) {
            (Some(site), _) => matches!(site, "same-origin" | "none"),
            (None, None) => true,
            (None, Some(origin)) => {
                let https = self.is_https(public);
                let own = canonical_host(self.host, https).map(|host| PublicUrl { https, host });
                origin.parse().is_ok_and(|origin: PublicUrl| Some(origin) == own)
            }
        };
        if is_own { Ok(()) } else { Err(Misplaced::OtherOrigin) }
    }
}

#[cfg(test)]
mod tests;
