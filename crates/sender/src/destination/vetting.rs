//! Checks the addresses of a host against the policy, before a connection is opened to one of them.
//!
//! If the policy refuses one address of a name, all of them are refused, because a name that has both public and
//! forbidden addresses is probably an attack or a mistake.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use super::lookup::LookupError;
use super::policy::DestinationPolicy;

/// The maximum number of addresses that are tried.
const MAX_ADDRESSES: usize = 16;

/// Why there is no address to connect to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoAddress {
    Refused,
    Lookup(LookupError),
}

/// Returns the addresses to connect to, if all may be connected to.
pub fn vet(addresses: &[IpAddr], port: u16, policy: &DestinationPolicy) -> Result<Vec<SocketAddr>, NoAddress> {
    match addresses.iter().all(|address| policy.allows(*address, port)) {
        true => Ok(addresses.iter().take(MAX_ADDRESSES).map(|address| SocketAddr::new(*address, port)).collect()),
        false => Err(NoAddress::Refused),
    }
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

#[cfg(test)]
mod tests {
    use super::super::network::AllowedNetwork;
    use super::*;

    fn policy(networks: &str) -> DestinationPolicy {
        let allow_networks = AllowedNetwork::parse_list(networks).expect("networks");
        DestinationPolicy { allow_networks, allow_http: false }
    }

    fn addresses(texts: &[&str]) -> Vec<IpAddr> {
        texts.iter().map(|text| text.parse().expect("an address")).collect()
    }

    #[test]
    fn both_addresses_of_a_receiver_behind_dns64_are_judged_as_one() {
        let loopback = addresses(&["127.0.0.1", "64:ff9b::7f00:1"]);
        let public = addresses(&["64:ff9b::808:808", "8.8.8.8"]);
        assert_eq!(vet(&loopback, 443, &policy("127.0.0.1/32")).expect("allowed").len(), 2);
        assert_eq!(vet(&loopback, 443, &policy("")), Err(NoAddress::Refused));
        assert_eq!(vet(&public, 443, &policy("")).expect("public").len(), 2);
    }

    #[test]
    fn a_name_with_a_public_and_a_forbidden_address_is_refused() {
        let policy = DestinationPolicy::default();
        let both = addresses(&["93.184.215.14", "127.0.0.1"]);
        assert!(vet(&both[..1], 443, &policy).is_ok());
        assert_eq!(vet(&both[1..], 443, &policy), Err(NoAddress::Refused));
        assert_eq!(vet(&both, 443, &policy), Err(NoAddress::Refused));
    }
}
