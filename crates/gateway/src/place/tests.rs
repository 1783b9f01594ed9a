use super::*;

fn url(text: &str) -> PublicUrl {
    text.parse().unwrap()
}

fn way(client: &str, host: &'static str) -> Way<'static> {
    let client = client.parse().unwrap();
    Way { tls: false, client, trusted: false, forwarded_proto: None, forwarded: false, host }
}

#[test]
fn a_public_url_is_a_scheme_and_a_host() {
    assert_eq!(url("https://Hooks.Example.com:443/").to_string(), "https://hooks.example.com");
    assert_eq!(url("http://[::1]:8480").to_string(), "http://[::1]:8480");
    for text in ["hooks.example.com", "ftp://x", "https://", "https://x/path", "https://u@x", "https://x:99999", "null"]
    {
        assert_eq!(text.parse::<PublicUrl>(), Err(NotPublicUrl(text.into())));
    }
}

#[test]
fn a_request_for_another_host_is_refused_if_the_public_url_is_known() {
    let public = url("https://hooks.example.com");
    let tls = |host| Way { tls: true, ..way("1.2.3.4", host) };
    assert_eq!(tls("hooks.example.com").check_host(Some(&public)), Ok(()));
    assert_eq!(tls("HOOKS.example.com:443").check_host(Some(&public)), Ok(()));
    for host in ["evil.example", "hooks.example.com:444", "hooks.example.com.", "localhost", "a b", "", "x@y"] {
        assert_eq!(tls(host).check_host(Some(&public)), Err(Misplaced::Host), "{host}");
    }
    assert_eq!(way("127.0.0.1", "localhost:8480").check_host(Some(&public)), Ok(()));
    assert_eq!(way("127.0.0.1", "evil.example").check_host(None), Ok(()));
    assert_eq!(way("127.0.0.1", "evil.example/").check_host(None), Err(Misplaced::Host));
}

#[test]
fn the_pages_are_shown_over_tls_and_on_loopback_only() {
    let public = url("https://hooks.example.com");
    let tls = Way { tls: true, ..way("1.2.3.4", "hooks.example.com") };
    assert_eq!(tls.transport(None), Ok(Transport::Tls));
    assert_eq!(way("127.0.0.1", "127.0.0.1:8480").transport(None), Ok(Transport::Loopback));
    assert_eq!(way("::1", "[::1]:8480").transport(None), Ok(Transport::Loopback));
    assert!(way("1.2.3.4", "127.0.0.1:8480").transport(None).is_err());
    // What a page of another site calls by a name that leads to loopback.
    assert!(way("127.0.0.1", "evil.example:8480").transport(None).is_err());
    // A proxy that is not trusted: the browser may be anywhere.
    assert!(Way { forwarded: true, ..way("127.0.0.1", "localhost") }.transport(None).is_err());

    let proxied = Way { trusted: true, forwarded: true, client: "1.2.3.4".parse().unwrap(), ..way("10.0.0.1", "x") };
    let proto = |proto| Way { forwarded_proto: Some(proto), ..proxied };
    assert_eq!(proto("https").transport(None), Ok(Transport::Tls));
    assert!(proto("http").transport(Some(&public)).is_err());
    assert_eq!(proxied.transport(Some(&public)), Ok(Transport::Tls));
    assert!(proxied.transport(None).is_err());
    assert!(Way { trusted: false, ..proto("https") }.transport(None).is_err());
    let Err(Misplaced::Plain(mend)) = way("1.2.3.4", "hooks.example.com").transport(Some(&public)) else { panic!() };
    assert_eq!(mend, "Open https://hooks.example.com/settings instead.");
}

#[test]
fn a_form_of_another_site_is_refused() {
    let way = way("127.0.0.1", "127.0.0.1:8480");
    let own = Some("http://127.0.0.1:8480");
    for (site, origin) in [
        (Some("same-origin"), own),
        (Some("none"), None),
        (Some("same-origin"), Some("null")),
        (None, own),
        (None, None),
    ] {
        assert_eq!(way.check_origin(None, site, origin), Ok(()), "{site:?} {origin:?}");
    }
    for (site, origin) in [
        (Some("cross-site"), own),
        (Some("same-site"), own),
        (Some(""), own),
        (None, Some("null")),
        (None, Some("http://127.0.0.1:8481")),
        (None, Some("https://127.0.0.1:8480")),
        (None, Some("http://evil.example")),
        (None, Some("")),
    ] {
        assert_eq!(way.check_origin(None, site, origin), Err(Misplaced::OtherOrigin), "{site:?} {origin:?}");
    }
}

#[test]
fn a_page_of_another_site_can_make_no_request_of_a_program() {
    let public: PublicUrl = "https://hooks.example.com".parse().unwrap();
    let way = |host, client: &str| Way {
        tls: false,
        client: client.parse().unwrap(),
        trusted: false,
        forwarded_proto: None,
        forwarded: false,
        host,
    };
    let local = way("localhost:8480", "127.0.0.1");
    for origin in [None, Some("http://localhost:8480"), Some("https://hooks.example.com")] {
        assert_eq!(local.check_page(Some(&public), origin), Ok(()), "{origin:?}");
    }
    for origin in ["null", "", "http://evil.example", "http://localhost:1", "http://hooks.example.com"] {
        assert_eq!(local.check_page(Some(&public), Some(origin)), Err(Misplaced::OtherPage), "{origin}");
    }
    // A name of somebody else that leads to this machine.
    let rebound = way("evil.example:8480", "127.0.0.1");
    assert_eq!(rebound.check_page(None, Some("http://evil.example:8480")), Err(Misplaced::OtherPage));
    let remote = way("localhost:8480", "10.0.0.7");
    assert_eq!(remote.check_page(None, Some("http://localhost:8480")), Err(Misplaced::OtherPage));
}
