//! Requests go to public addresses only, in whatever form an address is written, and also if it was written into the
//! table directly. A canary listens on every address of this machine, and nobody connects.

use std::net::{Ipv4Addr, Ipv6Addr, TcpListener};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use postgres::Client;
use testkit::{Cluster, PATIENCE, ask, refusal, run, wait_until};

/// Addresses in each range of IPv4 that is not public, some of them at its ends.
const NOT_PUBLIC: [&str; 24] = [
    "127.0.0.1",
    "127.1.2.3",
    "127.255.255.254",
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "10.255.255.255",
    "172.16.0.1",
    "172.31.255.254",
    "192.168.0.1",
    "192.168.255.254",
    "169.254.169.254",
    "169.254.0.1",
    "100.64.0.1",
    "100.127.255.254",
    "192.0.0.1",
    "192.0.2.1",
    "198.18.0.1",
    "198.51.100.7",
    "203.0.113.9",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
];

/// The same of IPv6, and names of this machine.
const OTHERS: [&str; 24] = [
    "[::1]",
    "[::]",
    "[0:0:0:0:0:0:0:1]",
    "[0000::0001]",
    "[::1%lo]",
    "[::1%25lo]",
    "[fe80::1]",
    "[febf::1]",
    "[fc00::1]",
    "[fdff::1]",
    "[ff02::1]",
    "[2001:db8::1]",
    "[2001::1]",
    "[100::1]",
    "[2002::1]",
    "[64:ff9b:1::1]",
    "[3fff::1]",
    "[5f00::1]",
    "[::ffff:0:1]",
    "localhost",
    "LOCALHOST",
    "localhost.",
    "localhost.localdomain",
    "ip6-localhost",
];

/// Metadata services of clouds.
const METADATA: [&str; 9] = [
    "169.254.169.254",
    "169.254.170.2",
    "169.254.0.23",
    "169.254.42.42",
    "168.63.129.16",
    "100.100.100.200",
    "192.0.0.192",
    "169.254.10.10",
    "169.254.169.123",
];

/// The same in IPv6.
const METADATA_V6: [&str; 8] = [
    "fd00:ec2::254",
    "fd00:ec2::23",
    "fd20:ce::254",
    "fd00:c1::a9fe:a9fe",
    "fd00:100::100:200",
    "fd00:42::42",
    "fd00:a9fe:a9fe::1",
    "fe80::a9fe:a9fe",
];

/// IPv6 addresses that gateways and tunnels forward to this address, each in its canonical form. With some prefixes, an
/// address of local NAT64 is read differently if the IPv4 address cannot be a destination.
fn around(address: Ipv4Addr) -> Vec<String> {
    let is_destination = (1..224).contains(&address.octets()[0]);
    let [a, b] = [(address.to_bits() >> 16) as u16, address.to_bits() as u16];
    let [c, d, e, f] = address.octets().map(u16::from);
    let forms = [
        [0, 0, 0, 0, 0xffff, 0, a, b],
        [0x64, 0xff9b, 0, 0, 0, 0, a, b],
        [0x64, 0xff9b, 1, 0, 0, 0, a, b],
        [0x64, 0xff9b, 1, a, e, f << 8, 0, 0],
        [0x64, 0xff9b, 1, c, d, e << 8 | f, 0, 0],
        [0x64, 0xff9b, 1, 0, c, d << 8 | e, f << 8, 0],
        [0x2002, a, b, 0, 0, 0, 0, 1],
        [0x2001, 0, a, b, 0, 0, 0x5601, 0x5601],
        [0x2001, 0, 0x808, 0x808, 0, 0, !a, !b],
        [0xfe80, 0, 0, 0, 0, 0x5efe, a, b],
    ];
    let with_another_prefix = |form: &[u16; 8]| form[..3] == [0x64, 0xff9b, 1] && form[7] != b;
    let forms = forms.into_iter().filter(|form| is_destination || !with_another_prefix(form));
    forms.map(|[a, b, c, d, e, f, g, h]| format!("[{}]", Ipv6Addr::new(a, b, c, d, e, f, g, h))).collect()
}

/// The ways in which one address can be written.
fn forms(address: Ipv4Addr) -> Vec<String> {
    let [a, b, c, d] = address.octets();
    let number = u32::from(address);
    let digits: String = address.to_string().bytes().map(|byte| format!("%{byte:02x}")).collect();
    let mut forms = vec![
        address.to_string(),
        format!("{address}."),
        number.to_string(),
        format!("{number:#x}"),
        format!("0X{number:X}"),
        format!("0{number:o}"),
        format!("{a:#x}.{b:#x}.{c:#x}.{d:#x}"),
        format!("0{a:o}.0{b:o}.0{c:o}.0{d:o}"),
        format!("{a:03}.{b:03}.{c:03}.{d:03}"),
        format!("{a}.{b}.{}", number & 0xffff),
        format!("{a}.{}", number & 0xff_ffff),
        digits,
        format!("example.com@{address}"),
        format!("example.com:443@{address}"),
        format!("[::ffff:{address}]"),
        format!("[::{address}]"),
        format!("[64:ff9b::{address}]"),
        format!("[2002:{:x}:{:x}::1]", number >> 16, number & 0xffff),
        format!("[::ffff:{:x}:{:x}]", number >> 16, number & 0xffff),
        format!("[::{:x}:{:x}]", number >> 16, number & 0xffff),
    ];
    forms.extend(around(address));
    forms
}

/// Listens on every address of this machine. Returns the port and the number of connections.
fn canary() -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("[::]:0").or_else(|_| TcpListener::bind("0.0.0.0:0")).expect("a port is free");
    let port = listener.local_addr().expect("it is bound").port();
    let connections = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&connections);
    thread::spawn(move || {
        for connection in listener.incoming() {
            counter.fetch_add(1, Ordering::SeqCst);
            drop(connection);
        }
    });
    (port, connections)
}

fn hosts() -> Vec<String> {
    let own = Command::new("hostname").args(["-I"]).output().map(|output| output.stdout).unwrap_or_default();
    let own = String::from_utf8(own).unwrap_or_default();
    let own = own.split_whitespace().filter_map(|address| address.parse::<Ipv4Addr>().ok());
    let not_public = NOT_PUBLIC.iter().map(|address| address.parse::<Ipv4Addr>().expect("an address"));
    // A public address of this machine is allowed.
    let addresses = not_public.chain(own.filter(|address| address.is_private() || address.is_link_local()));
    addresses.flat_map(forms).chain(OTHERS.map(str::to_owned)).collect()
}

/// Writes a subscription into the table, which no function would accept.
fn rewrite(client: &mut Client, url: &str) -> bool {
    let sql = "WITH made AS (
                   INSERT INTO hydra.subscription (url, event_types, retry_schedule, timeout)
                   VALUES ($1, '{ticket.created}', '{}', '2 s') RETURNING id)
               INSERT INTO hydra.signing_secret (subscription_id, secret, prefix)
               SELECT id, 'whsec_' || repeat('A', 43) || '=', 'whsec_AAAAAA' FROM made";
    client.execute(sql, &[&url]).is_ok()
}

#[test]
fn no_form_of_an_address_that_is_not_public_is_accepted_or_reached() {
    let cluster = Cluster::start(&[("hydra_webhooks.allow_http", "on"), ("hydra_webhooks.allow_networks", "")]);
    let mut client = cluster.create_database("destinations");
    let (port, connections) = canary();
    let hosts = hosts();
    assert!(hosts.len() >= 700, "{}", hosts.len());

    let mut names = Vec::new();
    let mut subscriptions = 0;
    for (index, host) in hosts.iter().enumerate() {
        // Half of them without TLS, since a request in the clear gets further before it fails.
        let scheme = if index % 2 == 0 { "http" } else { "https" };
        let url = format!("{scheme}://{host}:{port}/");
        let create = format!("SELECT hydra.webhook_create('{url}', '{{ticket.created}}')");
        match client.batch_execute(&format!("BEGIN; {create}; ROLLBACK")) {
            Ok(()) => names.push(host.as_str()),
            Err(_) => {
                run(&mut client, "ROLLBACK");
                assert_eq!(refusal(&mut client, &create).code, "22023", "{url}");
            }
        }
        subscriptions += i64::from(rewrite(&mut client, &url));
    }
    // A name is resolved only when a request is made.
    names.sort_unstable();
    assert_eq!(names, ["LOCALHOST", "ip6-localhost", "localhost", "localhost.localdomain"]);
    assert!(subscriptions >= 700, "{subscriptions}");

    run(&mut client, "SELECT hydra.webhook_emit('ticket.created', '{}')");
    // A destination that is not allowed is no failure of the endpoint: its delivery waits.
    let waiting = "SELECT count(*) FROM hydra.webhook_subscriptions WHERE waiting_for IS NOT NULL";
    wait_until("all were tried", PATIENCE, || {
        ask::<i64>(&mut client, &format!("SELECT ({waiting}) + count(*) FROM hydra.webhook_failed")) == subscriptions
    });
    assert!(ask::<i64>(&mut client, waiting) >= 700);
    let others: i64 = ask(&mut client, "SELECT count(*) FROM hydra.webhook_history WHERE error_class <> 'dns'");
    assert_eq!(others, 0);
    assert_eq!(connections.load(Ordering::SeqCst), 0, "somebody connected");
}

#[test]
fn a_metadata_service_stays_shut_in_every_form_unless_its_very_address_is_allowed() {
    let open = "0.0.0.0/0, ::/0, 169.254.0.0/16, fe80::/10, fd00::/8, 127.0.0.1/32";
    let cluster = Cluster::start(&[("hydra_webhooks.allow_networks", open)]);
    let mut client = cluster.create_database("metadata");
    let create = |host: &str| format!("SELECT hydra.webhook_create('https://{host}/', '{{ticket.created}}')");
    let v4 = METADATA.iter().map(|address| address.parse::<Ipv4Addr>().expect("an address"));
    let hosts = v4.flat_map(|address| [vec![address.to_string()], around(address)].concat());
    for host in hosts.chain(METADATA_V6.iter().map(|address| format!("[{address}]"))) {
        let refusal = refusal(&mut client, &create(&host));
        assert_eq!(refusal.message, "webhook URL points to an address that is not allowed", "{host}");
        assert!(refusal.hint.contains(" itself "), "{host}");
    }
    run(&mut client, &create("10.1.2.3"));
    run(&mut client, &create("[64:ff9b::a01:203]"));

    cluster.set(&[("hydra_webhooks.allow_networks", "169.254.42.42/32, fd00:42::42/128")]);
    for host in ["169.254.42.42", "[64:ff9b::a9fe:2a2a]", "[fd00:42::42]"] {
        wait_until("the setting applies", PATIENCE, || client.batch_execute(&create(host)).is_ok());
    }
    refusal(&mut client, &create("169.254.169.254"));
}
