//! Where requests may go: what is accepted is read again in another way, and each address is checked twice.
//!
//! Input: lines of `allow_networks`, an address, a URL.
#![no_main]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use http::Uri;
use libfuzzer_sys::fuzz_target;
use sender::DestinationPolicy;
use sender::destination::{AllowedNetwork, check_url};

fuzz_target!(|input: &str| {
    let mut lines = input.splitn(3, '\n');
    let (networks, address, url) = (lines.next(), lines.next(), lines.next().unwrap_or_default());
    let allow_networks = AllowedNetwork::parse_list(networks.unwrap_or_default()).unwrap_or_default();
    for policy in [
        DestinationPolicy::default(),
        DestinationPolicy { allow_networks: allow_networks.clone(), allow_http: false },
        DestinationPolicy { allow_networks, allow_http: true },
    ] {
        if let Some(address) = address.and_then(|address| address.parse().ok()) {
            judge(address, &policy);
        }
        if check_url(url, &policy).is_ok() {
            read_again(url, &policy);
        }
    }
});

/// By splitting text, which has nothing in common with the parser.
fn read_again(url: &str, policy: &DestinationPolicy) {
    let (scheme, rest) = url.split_once("://").expect("a scheme");
    let default_port = match scheme.to_ascii_lowercase().as_str() {
        "https" => 443,
        "http" if policy.allow_http => 80,
        other => panic!("the scheme {other} was accepted"),
    };
    assert!(url.len() <= 2048 && url.bytes().all(|byte| (0x21..0x7f).contains(&byte)) && !url.contains('#'));
    let authority = rest.split(['/', '?']).next().expect("something");
    assert!(!authority.contains(['@', '\\', '%']), "{authority} was accepted");

    let (host, port) = match authority.rsplit_once(':').filter(|(_, port)| !port.contains(']')) {
        Some((host, port)) => (host, port.parse::<u16>().expect("a port")),
        None => (authority, default_port),
    };
    assert_ne!(port, 0);
    let uri: Uri = url.parse().expect("what is accepted is what is sent");
    assert_eq!((uri.host(), uri.port_u16().unwrap_or(default_port)), (Some(host), port), "two readings of {url}");

    match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(v6) => assert!(policy.allows(v6.parse().map(IpAddr::V6).expect("an IPv6 address"), port)),
        None => match host.parse::<Ipv4Addr>() {
            Ok(v4) => assert!(policy.allows(v4.into(), port)),
            Err(_) => assert_is_name(host),
        },
    }
}

/// A name, and not one that a resolver would read as a number.
fn assert_is_name(host: &str) {
    let label = |label: &str| {
        (1..64).contains(&label.len())
            && label.chars().all(|char| char.is_ascii_alphanumeric() || char == '-' || char == '_')
    };
    assert!(host.len() <= 253 && host.split('.').all(label), "{host} was accepted");
    let last = host.rsplit('.').next().expect("a label").to_ascii_lowercase();
    let number = last.chars().all(|char| char.is_ascii_digit())
        || last.strip_prefix("0x").is_some_and(|digits| digits.chars().all(|char| char.is_ascii_hexdigit()));
    assert!(!number, "{host} was accepted");
}

/// Compares the policy with what the standard library calls these addresses.
fn judge(address: IpAddr, policy: &DestinationPolicy) {
    let networks = policy.allow_networks.iter().filter(|network| network.contains(address.to_canonical(), 443));
    let open = networks.clone().next().is_some();
    let named = networks.into_iter().any(|network| network.is_one_address());
    let allowed = policy.allows(address, 443);
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            let closed = v4.is_private()
                || v4.is_loopback()
                || v4.is_link_local()
                || v4.is_multicast()
                || v4.is_broadcast()
                || v4.is_documentation()
                || v4.is_unspecified()
                || v4.octets()[0] >= 240;
            assert!(!(allowed && closed && !open), "{v4} is allowed");
            assert!(!(allowed && v4.is_link_local() && !named), "{v4} is allowed");
            assert!(allowed || !matches!(v4.octets(), [1, 1, 1, _] | [8, 8, 8, _]), "{v4} is not allowed");
            for v6 in around(v4) {
                assert_eq!(policy.allows(v6.into(), 443), allowed, "{v6} leads to {v4}");
            }
        }
        IpAddr::V6(v6) => {
            let closed = v6.is_loopback()
                || v6.is_unspecified()
                || v6.is_multicast()
                || v6.is_unique_local()
                || v6.is_unicast_link_local();
            assert!(!(allowed && closed && !open), "{v6} is allowed");
            let cloudflare = Ipv6Addr::new(0x2606, 0x4700, 0, 0, 0, 0, 0, 0x1111);
            assert!(allowed || v6 != cloudflare, "{v6} is not allowed");
        }
    }
}

/// IPv6 addresses that lead to this IPv4 address: mapped, translated, NAT64 of two kinds, 6to4, Teredo with it as both
/// server and client, and, unless it looks like loopback, compatible.
fn around(v4: Ipv4Addr) -> Vec<Ipv6Addr> {
    let [a, b] = [(v4.to_bits() >> 16) as u16, v4.to_bits() as u16];
    let compatible = Ipv6Addr::new(0, 0, 0, 0, 0, 0, a, b);
    let others = [
        Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, a, b),
        Ipv6Addr::new(0, 0, 0, 0, 0xffff, 0, a, b),
        Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, a, b),
        Ipv6Addr::new(0x64, 0xff9b, 1, 0, 0, 0, a, b),
        Ipv6Addr::new(0x2002, a, b, 0, 0, 0, 0, 1),
        Ipv6Addr::new(0x2001, 0, a, b, 0, 0, !a, !b),
    ];
    let compatible = Some(compatible).filter(|v6| !v6.is_loopback() && !v6.is_unspecified());
    others.into_iter().chain(compatible).collect()
}
