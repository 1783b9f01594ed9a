//! Reads one entry of `hydra_webhooks.allow_networks`: a network in CIDR form, and optionally the only port that it
//! allows.

use std::net::IpAddr;
use std::str::FromStr;

use wire::refusal::Refusal;

use super::embedded::is_inside_ipv4_block;

/// A network that requests may go to. Examples: `10.0.0.0/8`, `10.1.2.3`, `127.0.0.1/32:8443`, `fd00::/8`,
/// `[::1]/128:8443`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowedNetwork {
    network: IpAddr,
    prefix: u32,
    port: Option<u16>,
}

impl AllowedNetwork {
    /// Reads the whole setting: entries separated by commas, with any spaces around them. An empty text is an empty list.
    pub fn parse_list(setting: &str) -> Result<Vec<Self>, Refusal> {
        if setting.trim().is_empty() {
            return Ok(Vec::new());
        }
        setting.split(',').map(|entry| entry.trim().parse()).collect()
    }

    pub fn contains(&self, address: IpAddr, port: u16) -> bool {
        self.port.is_none_or(|only| only == port) && self.covers(address)
    }

    /// Whether the entry is a single address.
    pub fn is_one_address(&self) -> bool {
        self.prefix == if self.network.is_ipv4() { 32 } else { 128 }
    }

    fn covers(&self, address: IpAddr) -> bool {
        match (self.network, address) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                leading_bits_agree(network.to_bits().into(), address.to_bits().into(), 32, self.prefix)
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                leading_bits_agree(network.to_bits(), address.to_bits(), 128, self.prefix)
            }
            _ => false,
        }
    }

    /// Whether bits to the right of the prefix are set. Then the entry is refused, as by the type `cidr` of Postgres:
    /// `10.0.0.1/8` is probably a mistake.
    fn has_stray_bits(&self) -> bool {
        match self.network {
            IpAddr::V4(network) => network.to_bits().trailing_zeros() < 32 - self.prefix,
            IpAddr::V6(network) => network.to_bits().trailing_zeros() < 128 - self.prefix,
        }
    }
}

fn leading_bits_agree(a: u128, b: u128, width: u32, prefix: u32) -> bool {
    (a ^ b).checked_shr(width - prefix).unwrap_or(0) == 0
}

impl FromStr for AllowedNetwork {
    type Err = Refusal;

    fn from_str(entry: &str) -> Result<Self, Refusal> {
        parse(entry).map_err(|reason| Refusal::new("invalid network").detail(format!("\"{entry}\": {reason}.")))
    }
}

/// Reads an entry. Returns the reason if it cannot be read.
fn parse(entry: &str) -> Result<AllowedNetwork, &'static str> {
    let (address, prefix, port) = split(entry)?;
    let network: IpAddr = address.parse().map_err(|_| match address {
        "localhost" => "not an IP address; localhost is 127.0.0.0/8 and ::1/128",
        _ => "not an IP address",
    })?;
    let width = if network.is_ipv4() { 32 } else { 128 };
    let prefix = match prefix {
        None => width,
        Some(digits) => number(digits).filter(|bits| *bits <= width).ok_or("the prefix length is out of range")?,
    };
    let port = port.map(|digits| number(digits).filter(|port| *port > 0).ok_or("the port is out of range"));
    let allowed = AllowedNetwork { network, prefix, port: port.transpose()? };
    match network {
        // An IPv6 address that contains an IPv4 address is compared as that address, so this entry would never match.
        _ if is_inside_ipv4_block(network, prefix) => Err("an IPv4 network must be written in IPv4 notation"),
        _ if allowed.has_stray_bits() => Err("the address has bits set to the right of the prefix"),
        _ => Ok(allowed),
    }
}

type Parts<'a> = (&'a str, Option<&'a str>, Option<&'a str>);

/// Splits an entry into address, prefix length and port. An IPv6 address contains colons, so it must be in brackets if
/// a port follows.
fn split(entry: &str) -> Result<Parts<'_>, &'static str> {
    if let Some(rest) = entry.strip_prefix('[') {
        let (address, rest) = rest.split_once(']').ok_or("a bracket is not closed")?;
        if !address.contains(':') {
            return Err("only an IPv6 address can be in brackets");
        }
        let (prefix, port) = split_port(rest);
        return match prefix {
            "" => Ok((address, None, port)),
            _ => Ok((address, Some(prefix.strip_prefix('/').ok_or("not an IP address")?), port)),
        };
    }
    let is_v6 = entry.matches(':').count() > 1;
    let (network, port) = if is_v6 { (entry, None) } else { split_port(entry) };
    match network.split_once('/') {
        Some((address, prefix)) => Ok((address, Some(prefix), port)),
        None => Ok((network, None, port)),
    }
}

fn split_port(text: &str) -> (&str, Option<&str>) {
    match text.split_once(':') {
        Some((rest, port)) => (rest, Some(port)),
        None => (text, None),
    }
}

/// Reads a number that consists of digits only. The standard parser would accept a sign as well.
fn number<N: FromStr>(digits: &str) -> Option<N> {
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|_| plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(entry: &str) -> AllowedNetwork {
        entry.parse().unwrap()
    }

    fn refusal(entry: &str) -> String {
        let detail = entry.parse::<AllowedNetwork>().unwrap_err().detail.expect("a reason");
        let reason = detail.strip_prefix(&format!("\"{entry}\": ")).expect("the entry");
        reason.trim_end_matches('.').to_owned()
    }

    fn covers(entry: &str, address: &str, port: u16) -> bool {
        read(entry).contains(address.parse().unwrap(), port)
    }

    #[test]
    fn a_network_covers_its_addresses() {
        assert!(covers("10.0.0.0/8", "10.255.0.1", 1));
        assert!(!covers("10.0.0.0/8", "11.0.0.1", 1));
        assert!(covers("0.0.0.0/0", "255.1.2.3", 1));
        assert!(!covers("0.0.0.0/0", "::1", 1));
        assert!(covers("::/0", "fe80::1", 1));
        assert!(covers("fd00::/8", "fdff::1", 1));
        assert!(!covers("fd00::/8", "fe00::1", 1));
    }

    #[test]
    fn an_address_without_a_prefix_is_a_network_of_one() {
        assert!(covers("127.0.0.1", "127.0.0.1", 1));
        assert!(!covers("127.0.0.1", "127.0.0.2", 1));
        assert!(covers("::1", "::1", 1));
        assert!(covers("[::1]", "::1", 1));
        assert!(read("::1").is_one_address() && read("10.0.0.0/32").is_one_address());
        assert!(!read("::/127").is_one_address() && !read("10.0.0.0/31").is_one_address());
    }

    #[test]
    fn a_port_can_follow_every_form() {
        for entry in ["127.0.0.1/32:8443", "127.0.0.1:8443"] {
            assert!(covers(entry, "127.0.0.1", 8443) && !covers(entry, "127.0.0.1", 443), "{entry}");
        }
        for entry in ["[::1]/128:8443", "[::1]:8443"] {
            assert!(covers(entry, "::1", 8443) && !covers(entry, "::1", 443), "{entry}");
        }
    }

    #[test]
    fn a_list_is_separated_by_commas_and_may_be_empty() {
        assert_eq!(AllowedNetwork::parse_list(" ").unwrap(), []);
        let list = AllowedNetwork::parse_list("10.0.0.0/8 , [::1]/128:80").unwrap();
        assert_eq!(list, [read("10.0.0.0/8"), read("[::1]/128:80")]);
        assert!(AllowedNetwork::parse_list("10.0.0.0/8,").is_err());
    }

    #[test]
    fn an_entry_that_cannot_be_read_is_refused_with_the_reason() {
        assert_eq!(refusal("receiver"), "not an IP address");
        assert_eq!(refusal(""), "not an IP address");
        assert_eq!(refusal("localhost"), "not an IP address; localhost is 127.0.0.0/8 and ::1/128");
        assert_eq!(refusal("10.0.0.0/33"), "the prefix length is out of range");
        assert_eq!(refusal("10.0.0.0/+8"), "the prefix length is out of range");
        assert_eq!(refusal("10.0.0.0/"), "the prefix length is out of range");
        assert_eq!(refusal("::1/129"), "the prefix length is out of range");
        assert_eq!(refusal("10.0.0.1/8"), "the address has bits set to the right of the prefix");
        assert_eq!(refusal("10.0.0.1/0"), "the address has bits set to the right of the prefix");
        assert_eq!(refusal("127.0.0.1:0"), "the port is out of range");
        assert_eq!(refusal("127.0.0.1:99999"), "the port is out of range");
        assert_eq!(refusal("127.0.0.1:"), "the port is out of range");
        assert_eq!(refusal("[::1/128"), "a bracket is not closed");
        assert_eq!(refusal("[127.0.0.1]"), "only an IPv6 address can be in brackets");
        assert_eq!(refusal("[::1]x"), "not an IP address");
        for entry in
            ["::ffff:10.0.0.0/104", "64:ff9b::/96", "64:ff9b:1::/48", "2002:a00::/24", "2001::/32", "::10.0.0.0/104"]
        {
            assert_eq!(refusal(entry), "an IPv4 network must be written in IPv4 notation");
        }
    }
}
