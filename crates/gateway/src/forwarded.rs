//! Proxies in front of the gateway, and the client that a request comes from.
//!
//! Anybody can send the header `X-Forwarded-For`. Each proxy appends the address that it was called from, so the list
//! is read from its end, and only as far as proxies that are trusted have written it.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// A network in CIDR notation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Network {
    address: u128,
    mask: u128,
}

/// The networks of proxies whose headers are believed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Networks(Vec<Network>);

impl Networks {
    pub fn contains(&self, address: IpAddr) -> bool {
        let bits = bits(address);
        self.0.iter().any(|network| bits & network.mask == network.address)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// All addresses are compared as IPv6 addresses: those of IPv4 as mapped ones.
fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

/// A text that is not a list of networks.
#[derive(Debug, PartialEq, Eq)]
pub struct NotNetworks(String);

impl fmt::Display for NotNetworks {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "\"{}\" is not a network such as 10.0.0.0/8 or fd00::/8", self.0)
    }
}

impl std::error::Error for NotNetworks {}

impl FromStr for Networks {
    type Err = NotNetworks;

    fn from_str(text: &str) -> Result<Self, NotNetworks> {
        let items = text.split([',', ' ']).map(str::trim).filter(|item| !item.is_empty());
        items.map(|item| network(item).ok_or_else(|| NotNetworks(item.into()))).collect::<Result<_, _>>().map(Self)
    }
}

fn network(text: &str) -> Option<Network> {
    let (address, length) = match text.split_once('/') {
        Some((address, length)) if length.bytes().all(|byte| byte.is_ascii_digit()) => (address, Some(length)),
        Some(_) => return None,
        None => (text, None),
    };
    let address: IpAddr = address.parse().ok()?;
    let (whole, before) = if address.is_ipv4() { (32, 96) } else { (128, 0) };
    let length: u32 = length.map_or(Some(whole), |length| length.parse().ok())?;
    if length > whole {
        return None;
    }
    let mask = u128::MAX.checked_shl(128 - before - length).unwrap_or(0);
    let address = bits(address);
    (address & !mask == 0).then_some(Network { address, mask })
}

/// Returns the client of a request: `peer`, or, if that is a trusted proxy, what it says. `forwarded` are the values of
/// the headers `X-Forwarded-For` in their order.
pub fn client<'a>(peer: IpAddr, trusted: &Networks, forwarded: impl DoubleEndedIterator<Item = &'a str>) -> IpAddr {
    let peer = peer.to_canonical();
    let mut client = peer;
    for item in forwarded.rev().flat_map(|value| value.rsplit(',')) {
        if !trusted.contains(client) {
            break;
        }
        match address(item.trim()) {
            Some(address) => client = address.to_canonical(),
            // What a trusted proxy could not name is not named by anybody before it.
            None => break,
        }
    }
    client
}

/// Reads an address that may be in brackets and have a port.
fn address(text: &str) -> Option<IpAddr> {
    if let Some(rest) = text.strip_prefix('[') {
        return rest.split_once(']')?.0.parse().ok();
    }
    text.parse().ok().or_else(|| text.rsplit_once(':')?.0.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn networks(text: &str) -> Networks {
        text.parse().unwrap()
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_belongs_to_a_network() {
        let list = networks("10.0.0.0/8, 127.0.0.1,fd00::/8 192.168.1.0/31");
        for (address, inside) in [
            ("10.255.0.1", true),
            ("11.0.0.1", false),
            ("127.0.0.1", true),
            ("127.0.0.2", false),
            ("::ffff:10.0.0.1", true),
            ("fdff::1", true),
            ("fe00::1", false),
            ("192.168.1.1", true),
            ("192.168.1.2", false),
        ] {
            assert_eq!(list.contains(ip(address)), inside, "{address}");
        }
        assert!(networks("0.0.0.0/0").contains(ip("1.2.3.4")) && !networks("0.0.0.0/0").contains(ip("::1")));
        assert!(networks("::/0").contains(ip("1.2.3.4")));
        assert!(networks("").is_empty());
    }

    #[test]
    fn what_is_not_a_network_is_refused() {
        for text in ["10.0.0.0/33", "10.0.0.1/8", "10.0.0/8", "x", "10.0.0.0/", "10.0.0.0/+8", "fd00::/129"] {
            assert_eq!(text.parse::<Networks>(), Err(NotNetworks(text.into())));
        }
    }

    #[test]
    fn the_client_is_what_the_last_trusted_proxy_says() {
        let trusted = networks("127.0.0.1, 10.0.0.0/8");
        for (peer, headers, expected) in [
            ("127.0.0.1", &["1.2.3.4"][..], "1.2.3.4"),
            ("127.0.0.1", &["6.6.6.6, 1.2.3.4"], "1.2.3.4"),
            ("127.0.0.1", &["6.6.6.6, 1.2.3.4, 10.0.0.7"], "1.2.3.4"),
            ("127.0.0.1", &["6.6.6.6", "1.2.3.4"], "1.2.3.4"),
            ("127.0.0.1", &["1.2.3.4:5678"], "1.2.3.4"),
            ("127.0.0.1", &["[2001:db8::1]:5678"], "2001:db8::1"),
            ("127.0.0.1", &["::ffff:1.2.3.4"], "1.2.3.4"),
            ("127.0.0.1", &["6.6.6.6, unknown"], "127.0.0.1"),
            ("127.0.0.1", &["10.0.0.1"], "10.0.0.1"),
            ("127.0.0.1", &[], "127.0.0.1"),
            ("8.8.8.8", &["1.2.3.4"], "8.8.8.8"),
            ("::ffff:127.0.0.1", &["1.2.3.4"], "1.2.3.4"),
        ] {
            assert_eq!(client(ip(peer), &trusted, headers.iter().copied()), ip(expected), "{peer} {headers:?}");
        }
    }
}
