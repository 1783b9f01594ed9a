//! Decides which addresses requests may go to.
//!
//! A role that may create subscriptions chooses where the database server sends requests. Without a rule it could reach
//! what only this server can reach: its loopback interface, the private network, the metadata service of the cloud. So
//! by default only HTTPS to public addresses is allowed.
//!
//! The rule lists what is public and not what is forbidden: products that keep a list of forbidden ranges have found
//! gaps in it for years. For IPv4, all global unicast addresses outside the special-purpose registry are public. For
//! IPv6, the addresses in `2000::/3` are public, except the blocks that are reserved. An IPv6 address that contains an
//! IPv4 address is judged as the IPv4 address. `allow_networks` allows more. The addresses at which clouds serve
//! metadata and credentials, and all of `169.254.0.0/16`, need an entry for just that address, because somebody who
//! allows `0.0.0.0/0` for a test does not intend to allow them.
//!
//! The rule is applied not to host names but to the addresses that are then connected to. So a host name that resolves
//! to another address a moment later cannot bypass it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use wire::refusal::Refusal;

use super::embedded;
use super::network::AllowedNetwork;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DestinationPolicy {
    pub allow_networks: Vec<AllowedNetwork>,
    pub allow_http: bool,
}

/// Why requests may not go to an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotAllowed {
    NotPublic(IpAddr),
    /// A cloud may serve credentials at this address.
    Metadata(IpAddr),
}

impl DestinationPolicy {
    /// Whether requests may go to this address and port.
    pub fn allows(&self, address: IpAddr, port: u16) -> bool {
        self.judge(address, port).is_ok()
    }

    /// Checks whether requests may go to this address and port. An error names the address that is not allowed: if the
    /// given address contains an IPv4 address, that is the IPv4 address.
    pub fn judge(&self, address: IpAddr, port: u16) -> Result<(), NotAllowed> {
        let IpAddr::V6(v6) = address else {
            return self.judge_one(address, port);
        };
        let mut inside = embedded::ipv4_inside(v6).peekable();
        if inside.peek().is_none() {
            self.judge_one(address, port)?;
        }
        inside.chain(embedded::ipv4_of_isatap(v6)).try_for_each(|v4| self.judge_one(v4.into(), port))
    }

    fn judge_one(&self, address: IpAddr, port: u16) -> Result<(), NotAllowed> {
        let mut entries = self.allow_networks.iter().filter(|network| network.contains(address, port));
        let (allowed, refusal) = match is_metadata(address) {
            true => (entries.any(AllowedNetwork::is_one_address), NotAllowed::Metadata(address)),
            false => (is_public(address) || entries.next().is_some(), NotAllowed::NotPublic(address)),
        };
        if allowed { Ok(()) } else { Err(refusal) }
    }
}

impl NotAllowed {
    /// Returns the refusal of this address, which is to begin with `message`. It names the address and the setting: who
    /// has set up a receiver must find out why nothing arrives.
    pub fn refusal(self, message: &str, address: IpAddr) -> Refusal {
        let (decisive, what, hint) = match self {
            NotAllowed::NotPublic(decisive) => (
                decisive,
                "is not a public address",
                "Add its network to hydra_webhooks.allow_networks to allow it.".to_owned(),
            ),
            NotAllowed::Metadata(decisive) => (
                decisive,
                "is an address at which clouds serve metadata and credentials",
                format!(
                    "To allow it, add {decisive} itself to hydra_webhooks.allow_networks. A larger network does not."
                ),
            ),
        };
        let detail = match decisive == address {
            true => format!("{address} {what}."),
            false => format!("{address} contains {decisive}, which {what}."),
        };
        Refusal::new(message).detail(detail).hint(hint)
    }
}

/// Whether a cloud serves metadata or credentials at this address, or may do so. Some of these addresses look public,
/// and some are in networks that may have to be allowed.
fn is_metadata(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => matches!(
            v4.octets(),
            [169, 254, ..] // nearly every cloud: mostly 169.254.169.254
                | [168, 63, 129, 16] // Azure
                | [100, 100, 100, 200] // Alibaba
                | [192, 0, 0, 192] // Oracle
        ),
        IpAddr::V6(v6) => matches!(
            v6.segments(),
            [0xfd00, 0xec2, ..] // AWS
                | [0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254] // Google
                | [0xfd00, 0xc1, 0, 0, 0, 0, 0xa9fe, 0xa9fe] // Oracle
                | [0xfd00, 0x100, 0, 0, 0, 0, 0x100, 0x200] // Alibaba
                | [0xfd00, 0x42, 0, 0, 0, 0, 0, 0x42] // Scaleway
                | [0xfd00, 0xa9fe, 0xa9fe, 0, 0, 0, 0, 1] // Linode
                | [0xfe80, 0, 0, 0, 0, 0, 0xa9fe, 0xa9fe] // OpenStack, Linode
        ),
    }
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => is_public_v6(v6),
    }
}

/// Whether the address is global unicast: not in the special-purpose registry, not multicast and not reserved.
fn is_public_v4(address: Ipv4Addr) -> bool {
    !matches!(
        address.octets(),
        [0 | 10 | 127, ..]
            | [100, 64..=127, ..] // shared by carriers
            | [169, 254, ..] // link-local
            | [172, 16..=31, ..]
            | [192, 0, 0 | 2, _] // protocol assignments, documentation
            | [192, 31, 196, _] | [192, 52, 193, _] | [192, 175, 48, _] // anycast services of the network itself
            | [192, 88, 99, _] // 6to4 relays
            | [192, 168, ..]
            | [198, 18 | 19, ..] // benchmarks
            | [198, 51, 100, _] | [203, 0, 113, _] // documentation
            | [224..=255, ..] // multicast, reserved, broadcast
    )
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    let global_unicast = segments[0] & 0xe000 == 0x2000;
    global_unicast
        && !matches!(
            segments,
            [0x2001, 0..=0x1ff, ..] // protocol assignments
                | [0x2001, 0xdb8, ..] // documentation
                | [0x3fff, 0..=0xfff, ..] // documentation
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(policy: &DestinationPolicy, address: &str) -> bool {
        policy.allows(address.parse().unwrap(), 443)
    }

    fn allowing(networks: &str) -> DestinationPolicy {
        DestinationPolicy { allow_networks: AllowedNetwork::parse_list(networks).unwrap(), allow_http: false }
    }

    #[test]
    fn public_addresses_are_allowed() {
        let addresses = [
            "1.1.1.1",
            "8.8.8.8",
            "100.63.255.255",
            "100.128.0.0",
            "172.15.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "192.167.0.1",
            "198.17.0.1",
            "198.20.0.1",
            "223.255.255.255",
            "2606:4700::1111",
            "2001:4860:4860::8888",
            "2001:200::1",
            "2620:fe::fe",
            "3ffe::1",
            "::ffff:8.8.8.8",
            "64:ff9b::8.8.8.8",
            "64:ff9b:1::8.8.8.8",
            "64:ff9b:1:fffe::8.8.8.8",
            "2002:808:808::1",
            "2001:0:4136:e378:8000:63bf:f7f7:f7f7",
        ];
        for address in addresses {
            assert!(allowed(&DestinationPolicy::default(), address), "{address} was refused");
        }
    }

    #[test]
    fn addresses_that_are_not_public_are_refused() {
        let addresses = [
            // the IPv4 special-purpose registry, first and last of each block
            "0.0.0.0",
            "0.255.255.255",
            "10.0.0.0",
            "10.255.255.255",
            "100.64.0.0",
            "100.127.255.255",
            "127.0.0.0",
            "127.255.255.255",
            "169.254.0.0",
            "169.254.255.255",
            "172.16.0.0",
            "172.31.255.255",
            "192.0.0.0",
            "192.0.0.255",
            "192.0.2.0",
            "192.0.2.255",
            "192.31.196.1",
            "192.52.193.1",
            "192.88.99.1",
            "192.168.0.0",
            "192.168.255.255",
            "192.175.48.1",
            "198.18.0.0",
            "198.19.255.255",
            "198.51.100.0",
            "203.0.113.255",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.0",
            "255.255.255.255",
            // IPv6: unspecified, loopback, embedded IPv4 of every kind, local, multicast, documentation
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::127.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b::",
            "64:ff9b:1::1",
            "64:ff9b:1::10.0.0.1",
            "64:ff9b:1:0a00:0:0100:808:808",
            "::ffff:0:127.0.0.1",
            "2001:0:7f00:1:8000:63bf:f7f7:f7f7",
            "2001:0:4136:e378:8000:63bf:80ff:fffe",
            "2620:fe::5efe:10.0.0.1",
            "100::1",
            "2001::1",
            "2001:1ff::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "3fff::1",
            "3fff:fff::1",
            "5f00::1",
            "fc00::1",
            "fd12::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "4000::1",
            "1fff::1",
        ];
        for address in addresses {
            assert!(!allowed(&DestinationPolicy::default(), address), "{address} was allowed");
        }
    }

    /// Metadata services of clouds, and addresses that look like one.
    const METADATA: [&str; 21] = [
        "169.254.169.254",
        "169.254.170.2",
        "169.254.170.23",
        "169.254.0.23",
        "169.254.10.10",
        "169.254.42.42",
        "169.254.0.0",
        "169.254.255.255",
        "168.63.129.16",
        "100.100.100.200",
        "192.0.0.192",
        "fd00:ec2::254",
        "fd00:ec2::23",
        "fd20:ce::254",
        "fd00:c1::a9fe:a9fe",
        "fd00:100::100:200",
        "fd00:42::42",
        "fd00:a9fe:a9fe::1",
        "fe80::a9fe:a9fe",
        "::ffff:169.254.169.254",
        "64:ff9b::168.63.129.16",
    ];

    #[test]
    fn metadata_services_stay_shut_unless_that_very_address_is_allowed() {
        let everything = allowing("0.0.0.0/0, ::/0, 169.254.0.0/16, 169.254.169.254/31, fd00:ec2::/32, fe80::/10");
        for address in METADATA {
            assert!(!allowed(&everything, address), "{address} was allowed");
            let itself = address.rsplit_once(':').map(|(_, last)| last).filter(|last| last.contains('.'));
            assert!(allowed(&allowing(itself.unwrap_or(address)), address), "{address} was refused");
        }
        assert!(allowed(&everything, "127.0.0.1"));
        assert!(allowed(&everything, "::1"));
        let with_port = allowing("169.254.169.254/32:8080");
        assert!(with_port.allows("169.254.169.254".parse().unwrap(), 8080));
        assert!(!allowed(&with_port, "169.254.169.254"));
    }

    #[test]
    fn no_clothes_hide_a_metadata_service() {
        let everything = allowing("0.0.0.0/0, ::/0, fe80::/10");
        for address in [
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::a9fe:a9fe",
            "64:ff9b:1:a9fe:a9:fe00::",
            "64:ff9b:1:a9:fe:a9fe::",
            "64:ff9b:1:0:a9:fea9:fe00:0",
            "64:ff9b:1:a9fe:a9:fe00:808:808",
            "::a9fe:a9fe",
            "::ffff:a9fe:a9fe",
            "::ffff:0:a9fe:a9fe",
            "2002:a9fe:a9fe::",
            "2002:a9fe:a9fe:1::1",
            "2001:0:a9fe:a9fe::1",
            "2001:0:808:808:0:0:5601:5601",
            "fe80::5efe:a9fe:a9fe",
            "fe80::200:5efe:a9fe:a9fe",
        ] {
            assert!(!allowed(&everything, address), "{address} was allowed");
        }
    }

    #[test]
    fn an_ipv4_address_inside_an_ipv6_address_is_allowed_where_it_is_allowed_itself() {
        let policy = allowing("127.0.0.1/32, 10.0.0.0/8");
        for address in ["64:ff9b::7f00:1", "::ffff:127.0.0.1", "::10.1.2.3", "2002:a01:203::1", "64:ff9b:1::10.1.2.3"] {
            assert!(allowed(&policy, address), "{address} was refused");
            assert!(!allowed(&DestinationPolicy::default(), address), "{address} was allowed");
        }
        assert!(!allowed(&policy, "64:ff9b::7f00:2"));
        // Both addresses of Teredo.
        assert!(allowed(&policy, "2001:0:a01:203::f5fe:fdfc"));
        assert!(!allowed(&policy, "2001:0:a01:203::80ff:fffd"));
    }

    #[test]
    fn an_allowed_network_allows_itself_and_nothing_else() {
        let policy = allowing("10.1.0.0/16");
        assert!(allowed(&policy, "10.1.255.255"));
        assert!(allowed(&policy, "::ffff:10.1.0.1"));
        assert!(!allowed(&policy, "10.2.0.0"));
        assert!(!allowed(&policy, "127.0.0.1"));
    }

    #[test]
    fn an_allowed_network_with_a_port_allows_that_port_only() {
        let policy = allowing("127.0.0.1/32:8443");
        assert!(policy.allows("127.0.0.1".parse().unwrap(), 8443));
        assert!(!policy.allows("127.0.0.1".parse().unwrap(), 5432));
    }
}
