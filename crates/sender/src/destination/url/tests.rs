use super::*;
use crate::destination::AllowedNetwork;

fn refusal(url: &str) -> Refusal {
    check_url(url, &DestinationPolicy::default()).expect_err(url)
}

fn allowing_loopback() -> DestinationPolicy {
    DestinationPolicy { allow_networks: AllowedNetwork::parse_list("127.0.0.0/8").unwrap(), allow_http: true }
}

#[test]
fn ordinary_urls_are_accepted() {
    let urls = [
        "https://example.com",
        "https://example.com/",
        "HTTPS://Example.com:8443/in?a=b&c=%20d",
        "https://a-b.c_d.example/",
        "https://xn--bcher-kva.example/",
        "https://1.1.1.1/",
        "https://[2606:4700::1111]:443/",
        "https://123.example",
        "https://receiver/",
    ];
    for url in urls {
        assert_eq!(check_url(url, &DestinationPolicy::default()), Ok(()), "{url}");
    }
}

#[test]
fn only_https_is_accepted_unless_http_is_allowed() {
    assert_eq!(refusal("http://example.com/").message, "webhook URL must use https");
    assert!(refusal("http://example.com/").hint.unwrap().contains("hydra_webhooks.allow_http"));
    assert_eq!(refusal("ftp://example.com/").hint, None);
    assert_eq!(check_url("http://example.com/", &allowing_loopback()), Ok(()));
}

#[test]
fn malformed_urls_are_refused() {
    let long = format!("https://example.com/{}", "a".repeat(MAX_URL_BYTES));
    let long_label = format!("https://{}.example/", "a".repeat(64));
    let long_host = format!("https://{}example/", "abcdefgh.".repeat(30));
    let urls = [
        "",
        "example.com",
        "/path",
        "https:",
        "https://",
        "https:///path",
        "//example.com/",
        "https://exa mple.com/",
        "https://example.com/\n",
        "https://example.com/\u{0}",
        "https://exämple.com/",
        "https://example.com/#part",
        "https://user@example.com/",
        "https://user:pass@example.com/",
        "https://example.com:0/",
        "https://example.com:99999/",
        "https://example.com:/",
        "https://example.com:+443/",
        "https://[2606:4700::1111]9/",
        "https://[2606:4700::1111]9:8443/",
        "https://-a.example/",
        "https://a-.example/",
        "https://a..example/",
        "https://.example/",
        "https://example.com./",
        "https://exa%6dple.com/",
        "https://a,b/",
        "https://example.com\\@other.example/",
        &long,
        &long_label,
        &long_host,
    ];
    for url in urls {
        refusal(url);
    }
}

#[test]
fn addresses_in_unusual_notations_are_refused() {
    let urls = [
        "https://127.1/",
        "https://0/",
        "https://2130706433/",
        "https://0x7f000001/",
        "https://0X7f.1/",
        "https://0177.0.0.1/",
        "https://127.0.0.1./",
        "https://127.0.0.01/",
        "https://1.1.1.1.1/",
        "https://0x/",
        "https://[::ffff:7f00:1]/",
        "https://[0:0:0:0:0:0:0:1]/",
        "https://[::1%25lo]/",
        "https://[::1/",
        "https://[127.0.0.1]/",
    ];
    for url in urls {
        assert_eq!(check_url(url, &allowing_loopback()).unwrap_err().message, "invalid webhook URL", "{url}");
    }
}

#[test]
fn addresses_that_the_policy_refuses_are_refused_with_a_hint() {
    let urls = ["https://127.0.0.1/", "https://10.0.0.1/", "https://[::1]/", "https://[::ffff:127.0.0.1]/"];
    for url in urls {
        let error = refusal(url);
        assert_eq!(error.message, "webhook URL points to an address that is not allowed");
        assert!(error.hint.unwrap().contains("hydra_webhooks.allow_networks"));
    }
    assert_eq!(check_url("http://127.0.0.1:8080/", &allowing_loopback()), Ok(()));
}

#[test]
fn a_port_that_is_not_allowed_is_refused() {
    let policy = DestinationPolicy {
        allow_networks: AllowedNetwork::parse_list("127.0.0.1/32:8443").unwrap(),
        allow_http: false,
    };
    assert_eq!(check_url("https://127.0.0.1:8443/", &policy), Ok(()));
    assert!(check_url("https://127.0.0.1/", &policy).is_err());
}

#[test]
fn a_refusal_says_which_address_is_meant_and_how_to_allow_it() {
    let policy = DestinationPolicy { allow_networks: AllowedNetwork::parse_list("::/0").unwrap(), allow_http: false };
    let refused = |url: &str| {
        let refusal = check_url(url, &policy).unwrap_err();
        (refusal.detail.expect("a detail"), refusal.hint.expect("a hint"))
    };
    assert_eq!(
        refused("https://[64:ff9b::a00:1]/"),
        (
            "64:ff9b::a00:1 contains 10.0.0.1, which is not a public address.".to_owned(),
            "Add its network to hydra_webhooks.allow_networks to allow it.".to_owned()
        )
    );
    assert_eq!(
        refused("https://[fd00:ec2::254]/"),
        (
            "fd00:ec2::254 is an address at which clouds serve metadata and credentials.".to_owned(),
            "To allow it, add fd00:ec2::254 itself to hydra_webhooks.allow_networks. A larger network does not."
                .to_owned()
        )
    );
}
