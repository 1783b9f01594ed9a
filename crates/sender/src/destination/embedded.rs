//! Finds the IPv4 addresses that some IPv6 addresses contain.
//!
//! A gateway or a tunnel forwards a request for such an IPv6 address to the IPv4 address inside it. So it leads where
//! the IPv4 address leads, and is judged as that address. Behind DNS64, every receiver on IPv4 also has an address in
//! `64:ff9b::/96`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An address can be read in at most this many ways.
const READINGS: usize = 4;

/// Returns the IPv4 addresses that requests to this address may lead to. Empty if the address stands for itself.
pub fn ipv4_inside(address: Ipv6Addr) -> impl Iterator<Item = Ipv4Addr> {
    let octets = address.octets();
    let at = |places: [usize; 4]| Ipv4Addr::from(places.map(|place| octets[place]));
    let last = at([12, 13, 14, 15]);
    let found: [Option<Ipv4Addr>; READINGS] = match address.segments() {
        // Unspecified and loopback.
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => [None; READINGS],
        [0, 0, 0, 0, 0, 0xffff, ..] // IPv4-mapped
            | [0, 0, 0, 0, 0xffff, 0, ..] // IPv4-translated
            | [0, 0, 0, 0, 0, 0, ..] // IPv4-compatible
            | [0x64, 0xff9b, 0, 0, 0, 0, ..] // NAT64
            => one(last),
        [0x64, 0xff9b, 1, ..] => local_nat64(at),
        [0x2002, ..] => one(at([2, 3, 4, 5])), // 6to4
        // Teredo: its server, and its client with all bits inverted.
        [0x2001, 0, ..] => [Some(at([4, 5, 6, 7])), Some(Ipv4Addr::from_bits(!last.to_bits())), None, None],
        _ => [None; READINGS],
    };
    found.into_iter().flatten()
}

/// Returns the IPv4 address in the second half of an ISATAP address. A request leads to it only in a network that has
/// such a tunnel. Elsewhere the address stands for itself, so both are judged.
pub fn ipv4_of_isatap(address: Ipv6Addr) -> Option<Ipv4Addr> {
    match address.segments() {
        [.., 0 | 0x200, 0x5efe, high, low] => Some(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low))),
        _ => None,
    }
}

/// Whether every address of this network contains an IPv4 address, so that no address is ever compared with it.
pub fn is_inside_ipv4_block(network: IpAddr, prefix: u32) -> bool {
    let IpAddr::V6(v6) = network else {
        return false;
    };
    let block = match v6.segments() {
        [0x2002, ..] => 16,
        [0x2001, 0, ..] => 32,
        [0x64, 0xff9b, 1, ..] => 48,
        _ => 96,
    };
    prefix >= block && ipv4_inside(v6).next().is_some()
}

fn one(address: Ipv4Addr) -> [Option<Ipv4Addr>; READINGS] {
    [Some(address), None, None, None]
}

/// Reads an address of the block for local NAT64. The operator chooses how long its prefix is, which decides where the
/// IPv4 address is (RFC 6052). Here that is not known, so each reading that a gateway could forward counts.
fn local_nat64(at: impl Fn([usize; 4]) -> Ipv4Addr) -> [Option<Ipv4Addr>; READINGS] {
    let last = at([12, 13, 14, 15]);
    let readings = [at([6, 7, 9, 10]), at([7, 9, 10, 11]), at([9, 10, 11, 12]), last];
    let readings = readings.map(|address| Some(address).filter(|address| matches!(address.octets(), [1..=223, ..])));
    match readings {
        [None, None, None, None] => one(last),
        readings => readings,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inside(address: &str) -> Vec<String> {
        ipv4_inside(address.parse().unwrap()).map(|address| address.to_string()).collect()
    }

    #[test]
    fn the_ipv4_address_is_found_in_each_form() {
        for address in [
            "::ffff:10.1.2.3",
            "::ffff:0:10.1.2.3",
            "::10.1.2.3",
            "64:ff9b::10.1.2.3",
            "64:ff9b:1::10.1.2.3",
            "64:ff9b:1:fffe::10.1.2.3",
            "64:ff9b:1:0a01:0002:0300::",
            "64:ff9b:1:000a:0001:0203::",
            "64:ff9b:1:0:000a:0102:0300:0",
            "2002:a01:203::",
            "2002:a01:203:1::5",
        ] {
            assert_eq!(
                inside(address).first().map(String::as_str),
                Some("10.1.2.3"),
                "{address}: {:?}",
                inside(address)
            );
        }
    }

    #[test]
    fn a_teredo_address_contains_its_server_and_its_client() {
        assert_eq!(inside("2001:0:4136:e378:8000:63bf:3fff:fdd2"), ["65.54.227.120", "192.0.2.45"]);
    }

    #[test]
    fn an_isatap_address_contains_the_address_of_its_host() {
        let found = |address: &str| ipv4_of_isatap(address.parse().unwrap());
        for address in ["fe80::5efe:10.1.2.3", "2620:fe::200:5efe:10.1.2.3"] {
            assert_eq!(found(address), Some(Ipv4Addr::new(10, 1, 2, 3)), "{address}");
            assert!(inside(address).is_empty(), "{address}");
        }
        assert_eq!(found("fe80::10.1.2.3"), None);
    }

    #[test]
    fn other_addresses_stand_for_themselves() {
        for address in
            ["::", "::1", "2606:4700::1111", "fd00::a01:203", "fe80::1", "64:ff9a::a01:203", "2001:1::a01:203"]
        {
            assert!(inside(address).is_empty(), "{address}: {:?}", inside(address));
        }
    }
}
