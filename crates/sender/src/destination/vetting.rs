//! Checks the addresses of a host against the policy, before a connection is opened to one of them.
//!
//! If the policy refuses one address of a name, all of them are refused, because a name that has both public and
//! forbidden addresses is probably an attack or a mistake.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use super::lookup::LookupError;
use super::policy::{DestinationPolicy, NotAllowed};

/// The maximum number of addresses that are tried.
const MAX_ADDRESSES: usize = 16;

/// What is said of a refused name, before its address.
const REFUSED: &str = "host name resolves to an address that is not allowed";

/// Why there is no address to connect to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoAddress {
    /// This address of the host is not allowed.
    Refused(IpAddr, NotAllowed),
    Lookup(LookupError),
}

/// Returns the addresses to connect to, if all may be connected to.
pub fn vet(addresses: &[IpAddr], port: u16, policy: &DestinationPolicy) -> Result<Vec<SocketAddr>, NoAddress> {
    for address in addresses {
        policy.judge(*address, port).map_err(|reason| NoAddress::Refused(*address, reason))?;
    }
    Ok(addresses.iter().take(MAX_ADDRESSES).map(|address| SocketAddr::new(*address, port)).collect())
}

impl fmt::Display for NoAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            NoAddress::Refused(address, reason) => {
                return f.write_str(&reason.refusal(REFUSED, *address).in_one_line());
            }
            NoAddress::Lookup(LookupError::Unknown) => "host name could not be resolved",
            NoAddress::Lookup(LookupError::Unanswered) => "no name server answered what the host name resolves to",
            NoAddress::Lookup(LookupError::NoThread) => "no thread could be started",
            NoAddress::Lookup(LookupError::TimedOut) => "time limit ran out while the host name was looked up",
        })
    }
}

/// Returns the message of a failed attempt without the address of a refused name, which may be one of a private network.
pub fn without_address(message: &str) -> &str {
    if message.starts_with(REFUSED) { REFUSED } else { message }
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
        assert!(matches!(vet(&loopback, 443, &policy("")), Err(NoAddress::Refused(..))));
        assert_eq!(vet(&public, 443, &policy("")).expect("public").len(), 2);
    }

    #[test]
    fn a_name_with_a_public_and_a_forbidden_address_is_refused() {
        let policy = DestinationPolicy::default();
        let both = addresses(&["93.184.215.14", "127.0.0.1"]);
        assert!(vet(&both[..1], 443, &policy).is_ok());
        for refused in [&both[1..], &both] {
            let expected = NoAddress::Refused(both[1], NotAllowed::NotPublic(both[1]));
            assert_eq!(vet(refused, 443, &policy), Err(expected));
        }
    }

    #[test]
    fn a_refused_name_says_its_address_and_the_setting() {
        let said = |address: &str, networks: &str| {
            let refused = vet(&addresses(&[address]), 443, &policy(networks)).expect_err("refused");
            refused.to_string()
        };
        assert_eq!(
            said("127.0.0.1", ""),
            "host name resolves to an address that is not allowed: 127.0.0.1 is not a public address. Add its network to \
             hydra_webhooks.allow_networks to allow it."
        );
        assert!(said("64:ff9b::7f00:1", "").contains("64:ff9b::7f00:1 contains 127.0.0.1, which is not a public"));
        assert!(said("169.254.169.254", "0.0.0.0/0").contains("add 169.254.169.254 itself"));
        assert_eq!(without_address(&said("10.1.2.3", "")), "host name resolves to an address that is not allowed");
        assert_eq!(without_address("host name could not be resolved"), "host name could not be resolved");
    }
}
