//! What a gateway reads in a request: the path, the cookie, the host, what proxies say. And the texts of its settings.
//!
//! Input: lines of a path, a header Cookie, a Host, an Origin, an X-Forwarded-For, networks, a connection string.
#![no_main]

use std::net::{IpAddr, Ipv4Addr};

use gateway::cookie::{self, Transport};
use gateway::forwarded::{self, Networks};
use gateway::place::{PublicUrl, Way};
use gateway::{conninfo::Target, route, units};
use libfuzzer_sys::fuzz_target;

const PEER: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 1));

fuzz_target!(|input: &str| {
    let mut lines = input.splitn(7, '\n');
    let mut line = || lines.next().unwrap_or_default();
    path(line());
    cookies(line());
    let host = line();
    host_and_origin(host, line());
    proxies(line(), line());
    settings(line());
});

fn path(text: &str) {
    if !text.starts_with('/') || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return;
    }
    let shown = route::shown(text);
    assert!(!["hyk_", "hyl_", "hys_", "whsec_"].iter().any(|secret| shown.contains(secret)), "{shown}");
    assert!(!shown.starts_with("/login/") || shown == "/login/…", "{shown}");
    assert!(shown.len() <= 203, "{shown}");
}

fn cookies(text: &str) {
    if let Some(value) = cookie::find(std::iter::once(text), Transport::Tls.cookie_name()) {
        assert!(text.contains(&format!("__Host-hydra={value}")) && !value.contains(';'));
        assert_eq!(
            text.split(';').filter(|pair| pair.trim_matches([' ', '\t']).starts_with("__Host-hydra=")).count(),
            1
        );
    }
}

fn host_and_origin(host: &str, origin: &str) {
    let way = |tls| Way { tls, client: PEER, trusted: false, forwarded_proto: None, forwarded: false, host };
    if way(false).transport(None) == Ok(Transport::Loopback) {
        // An address in brackets can be written in many ways.
        let name = host.to_ascii_lowercase();
        assert!(["localhost", "127.", "["].iter().any(|start| name.starts_with(start)), "{host}");
    }
    if let Ok(url) = origin.parse::<PublicUrl>() {
        assert_eq!(url.to_string().parse::<PublicUrl>().as_ref(), Ok(&url), "it is written in the way it is read");
        if way(true).check_origin(None, None, Some(origin)).is_ok() {
            assert!(url.to_string().starts_with("https://"));
            assert_eq!(format!("https://{host}").parse::<PublicUrl>(), Ok(url.clone()));
        }
        if way(true).check_host(Some(&url)).is_ok() && !url.to_string().contains("localhost") {
            let same = format!("https://{host}")
                .parse::<PublicUrl>()
                .is_ok_and(|own| own.to_string()[8..] == url.to_string()[url.to_string().find("://").unwrap() + 3..]);
            assert!(same || way(false).transport(None).is_ok(), "{host} for {url}");
        }
    }
}

fn proxies(forwarded: &str, networks: &str) {
    assert_eq!(forwarded::client(PEER, &Networks::default(), std::iter::once(forwarded)), PEER);
    if let Ok(networks) = networks.parse::<Networks>() {
        let client = forwarded::client(PEER, &networks, std::iter::once(forwarded));
        assert!(client == PEER || networks.contains(PEER), "an untrusted peer was believed");
    }
}

fn settings(text: &str) {
    let _ = units::duration(text);
    if let Ok(size) = units::size(text) {
        assert_eq!(units::size(&format!("{size} B")), Ok(size));
    }
    if !text.contains("sslrootcert") {
        let _ = Target::parse(text);
    }
}
