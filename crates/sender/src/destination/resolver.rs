//! Gives ureq the addresses of a URL, after checking every one of them against the policy.
//!
//! ureq connects only to the addresses that it gets from here. If the policy refuses one address of a name, all of them
//! are refused, because a name that has both public and forbidden addresses is probably an attack or a mistake.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use http::Uri;
use ureq::Error;
use ureq::config::Config;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

use super::lookup::{Directory, LookupError};
use super::policy::DestinationPolicy;

/// The capacity of ureq's list of addresses.
const MAX_ADDRESSES: usize = 16;

#[derive(Debug)]
pub struct VettingResolver {
    pub directory: Directory,
    pub policy: Arc<DestinationPolicy>,
}

/// Why there is no address to connect to. ureq returns this error unchanged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoAddress {
    Refused,
    Lookup(LookupError),
}

impl Resolver for VettingResolver {
    fn resolve(&self, uri: &Uri, _: &Config, timeout: NextTimeout) -> Result<ResolvedSocketAddrs, Error> {
        let host = uri.host().unwrap_or_default();
        let port = uri.port_u16().unwrap_or(if uri.scheme_str() == Some("http") { 80 } else { 443 });
        match literal(host) {
            Some(address) => self.check(&[address], port),
            None => {
                let found =
                    self.directory.addresses(host, *timeout.after).map_err(|error| wrap(NoAddress::Lookup(error)))?;
                self.check(&found, port)
            }
        }
    }
}

impl VettingResolver {
    fn check(&self, addresses: &[IpAddr], port: u16) -> Result<ResolvedSocketAddrs, Error> {
        if !addresses.iter().all(|address| self.policy.allows(*address, port)) {
            return Err(wrap(NoAddress::Refused));
        }
        let mut list = self.empty();
        for address in addresses.iter().take(MAX_ADDRESSES) {
            list.push(SocketAddr::new(*address, port));
        }
        Ok(list)
    }
}

/// Returns the address if the host is an IP address.
fn literal(host: &str) -> Option<IpAddr> {
    host.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

fn wrap(reason: NoAddress) -> Error {
    Error::Other(Box::new(reason))
}

impl fmt::Display for NoAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            NoAddress::Refused => "host name resolves to an address that is not allowed",
            NoAddress::Lookup(LookupError::Unknown) => "host name could not be resolved",
            NoAddress::Lookup(LookupError::Unanswered) => "no name server answered what the host name resolves to",
            NoAddress::Lookup(LookupError::NoThread) => "no thread could be started",
            NoAddress::Lookup(LookupError::TimedOut) => "time limit ran out while the host name was looked up",
        })
    }
}

impl std::error::Error for NoAddress {}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Duration;

    use ureq::{Agent, Timeout};

    use super::super::network::AllowedNetwork;
    use super::*;

    fn resolver(networks: &str, found: &'static [&str]) -> VettingResolver {
        let directory = Directory::new(Box::new(|_| Ok(found.iter().map(|text| text.parse().unwrap()).collect())));
        let allow_networks = AllowedNetwork::parse_list(networks).unwrap();
        VettingResolver { directory, policy: Arc::new(DestinationPolicy { allow_networks, allow_http: false }) }
    }

    fn resolve(resolver: &VettingResolver, name: &str) -> Result<ResolvedSocketAddrs, Error> {
        let timeout = NextTimeout {
            after: Duration::from_secs(10).into(),
            reason: Timeout::Global,
            per_read: None,
            per_write: None,
        };
        let uri = format!("https://{name}/").parse().expect("a URI");
        resolver.resolve(&uri, Agent::new_with_defaults().config(), timeout)
    }

    #[test]
    fn both_addresses_of_a_receiver_behind_dns64_are_judged_as_one() {
        const BOTH: [&[&str]; 2] = [&["127.0.0.1", "64:ff9b::7f00:1"], &["64:ff9b::808:808", "8.8.8.8"]];
        assert_eq!(resolve(&resolver("127.0.0.1/32", BOTH[0]), "both.example").expect("allowed").len(), 2);
        assert!(resolve(&resolver("", BOTH[0]), "both.example").is_err());
        assert_eq!(resolve(&resolver("", BOTH[1]), "both.example").expect("public").len(), 2);
    }

    /// The name server answers with a public address, a loopback address, and both, in turns.
    #[test]
    fn a_name_that_changes_its_address_never_leads_to_this_machine() {
        let asked = AtomicU32::new(0);
        let public = IpAddr::from([93, 184, 215, 14]);
        let loopback = IpAddr::from([127, 0, 0, 1]);
        let directory = Directory::new(Box::new(move |_| {
            let turn = asked.fetch_add(1, Ordering::Relaxed);
            Ok(match turn % 3 {
                0 => vec![public],
                1 => vec![loopback],
                _ => vec![public, loopback],
            })
        }));
        let resolver = VettingResolver { directory, policy: Arc::default() };
        let (mut reached, mut refused) = (0, 0);
        for turn in 0..1000 {
            match resolve(&resolver, &format!("name-{turn}.example")) {
                Ok(found) => {
                    assert!(found.iter().all(|address| address.ip() == public), "{found:?}");
                    reached += 1;
                }
                Err(_) => refused += 1,
            }
        }
        assert_eq!((reached, refused), (334, 666));
    }
}
