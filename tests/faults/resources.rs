//! Servers that lack something: disk space, file descriptors, write access by default, answers from the name server.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant};

use postgres::error::SqlState;
use testkit::cluster::Surroundings;
use testkit::names::{HANGING, NameServer};
use testkit::receiver::{Answer, Receiver};
use testkit::{Bench, Cluster, PATIENCE, number, run, subscribe, wait_for_state, wait_until};

use crate::PATH;

/// Only root may mount, and a developer may not be root.
fn may_mount() -> bool {
    let root = fs::metadata("/proc/self").expect("/proc is mounted").uid() == 0;
    let may =
        root && std::process::Command::new("unshare").args(["--mount", "true"]).status().is_ok_and(|s| s.success());
    if !may {
        eprintln!("skipped: only root may mount, and not in every container");
    }
    may
}

fn name_server() -> Option<NameServer> {
    NameServer::start().inspect_err(|reason| eprintln!("skipped: {reason}")).ok()
}

/// No event for a healthy endpoint arrives later than this on a busy machine. A lookup that hangs takes twenty seconds.
const PROMPT: Duration = Duration::from_secs(5);

/// The ids of the deliveries that arrived.
fn deliveries(receiver: &Receiver) -> BTreeSet<String> {
    receiver.requests(PATH).iter().map(|request| request.delivery_id().to_owned()).collect()
}

#[test]
fn a_full_disk_delays_what_has_to_be_written_and_nothing_is_lost_or_sent_again() {
    if !may_mount() {
        return;
    }
    const EVENTS: usize = 300;
    let small_disk = "mkdir -p small; mount -t tmpfs -o size=40m tmpfs small; chown --reference=. small; exec \"$@\"";
    let cluster = Cluster::start_within(Some(Surroundings { script: small_disk, mounts: true }), &[]);
    let small = cluster.directory().join("small");
    run(&mut cluster.connect("postgres"), &format!("CREATE TABLESPACE small LOCATION '{}'", small.display()));
    run(&mut cluster.connect("postgres"), "CREATE DATABASE full_disk TABLESPACE small");
    let client = cluster.connect("full_disk");
    let mut bench = Bench { cluster: &cluster, database: "full_disk".into(), client, receiver: Receiver::start() };
    bench.run("CREATE EXTENSION hydra_webhooks");
    bench.subscribe(PATH, "ticket.created", &["retry_schedule => '{1 s,1 s,1 s}'"]);
    let dispatcher = cluster.dispatcher_pid("full_disk");

    cluster.set(&[("hydra_webhooks.enabled", "off")]);
    wait_for_state(&mut bench.client, "off");
    bench.emit_tickets(1..=EVENTS);
    bench.run("CREATE TABLE filler (text text)");
    // Large pieces first, then small ones into the rest.
    for rows in [1000, 10] {
        let piece = format!("INSERT INTO filler SELECT md5(n::text) FROM generate_series(1, {rows}) AS n");
        let full = loop {
            if let Err(error) = bench.client.batch_execute(&piece) {
                break error;
            }
        };
        assert_eq!(full.code(), Some(&SqlState::DISK_FULL), "{full:?}");
    }

    // The first attempt of each delivery fails, which has to be written.
    bench.receiver.answer_first(PATH, EVENTS, Answer::status(500));
    cluster.set(&[("hydra_webhooks.enabled", "on")]);
    let complaint = "hydra_webhooks dispatcher: could not write outcomes: could not extend file";
    let complaints = || cluster.log().matches(complaint).count();
    wait_until("it has tried to write several times", PATIENCE, || complaints() > 1);
    let requests = bench.receiver.requests(PATH);
    let ids: BTreeSet<&str> = requests.iter().map(|request| request.delivery_id()).collect();
    assert_eq!(requests.len(), ids.len(), "a delivery that cannot be claimed is not sent again");

    bench.run("DROP TABLE filler");
    bench.wait_for_empty_queue();
    assert_eq!((bench.receiver.received(PATH), deliveries(&bench.receiver).len()), (2 * EVENTS, EVENTS));
    assert_eq!(cluster.find_dispatcher("full_disk"), Some(dispatcher));
}

#[test]
fn with_64_file_descriptors_everything_is_delivered() {
    const RECEIVERS: usize = 40;
    const EVENTS: usize = 50;
    let cluster = Cluster::start_within(Some(Surroundings { script: "ulimit -n 64; exec \"$@\"", mounts: false }), &[]);
    let mut bench = Bench::new(&cluster, "descriptors");
    let receivers: Vec<Receiver> = (0..RECEIVERS).map(|_| Receiver::start()).collect();
    for receiver in &receivers {
        subscribe(&mut bench.client, &receiver.url(PATH), "ticket.created", &["retry_schedule => '{1 s,1 s,1 s}'"]);
    }
    let dispatcher = cluster.dispatcher_pid("descriptors");
    let limits = fs::read_to_string(format!("/proc/{dispatcher}/limits")).expect("the dispatcher lives");
    let limit = limits.lines().find(|line| line.starts_with("Max open files")).expect("a known line");
    assert_eq!(limit.split_whitespace().nth(4), Some("64"), "{limit}");
    bench.emit_tickets(1..=EVENTS);
    bench.wait_for_empty_queue();
    for receiver in &receivers {
        assert_eq!(deliveries(receiver).len(), EVENTS);
    }
    let failures: i64 = bench.ask("SELECT count(*) FROM hydra.webhook_history WHERE error IS NOT NULL");
    assert_eq!((failures, cluster.find_dispatcher("descriptors")), (0, Some(dispatcher)));
}

#[test]
fn with_transactions_read_only_by_default_everything_is_delivered() {
    let cluster = Cluster::start(&[]);
    let mut bench = Bench::new(&cluster, "read_only");
    bench.receiver.answer_first(PATH, 5, Answer::status(500));
    bench.subscribe(PATH, "ticket.created", &["retry_schedule => '{0.1 s,0.1 s}'"]);
    cluster.set(&[("default_transaction_read_only", "on")]);
    bench.client = bench.session();
    bench.run("SET default_transaction_read_only = off");
    bench.emit_tickets(1..=10);
    bench.wait_for_empty_queue();
    assert_eq!((bench.receiver.received(PATH), deliveries(&bench.receiver).len()), (15, 10));
}

/// `HYDRA_SECONDS=300` makes it a long one.
#[test]
fn a_silent_name_server_delays_no_other_endpoint_and_deliveries_continue_when_it_answers() {
    const NAMES: usize = 60;
    let Some(server) = name_server() else { return };
    let silence = Duration::from_secs(number("HYDRA_SECONDS").unwrap_or(5));
    let cluster = Cluster::start_within(Some(server.surroundings()), &[]);
    let mut bench = Bench::new(&cluster, "names");
    let healthy = Receiver::start();
    subscribe(&mut bench.client, &healthy.url(PATH), "ticket.resolved", &[]);
    for name in 0..NAMES {
        let url = format!("http://n{name}.receiver.example:{}{PATH}", bench.receiver.address().port());
        let schedule = "retry_schedule => array_fill(interval '8 s', ARRAY[50])";
        subscribe(&mut bench.client, &url, "ticket.created", &["timeout => '2 s'", schedule]);
    }
    let dispatcher = cluster.dispatcher_pid("names");

    server.set_silent(true);
    bench.emit_tickets(1..=5);
    let start = Instant::now();
    let mut slowest = Duration::ZERO;
    let mut sent = 0;
    while start.elapsed() < silence {
        let emitted = Instant::now();
        bench.emit("ticket.resolved", "{}");
        sent += 1;
        healthy.wait_for(PATH, sent, PATIENCE);
        slowest = slowest.max(emitted.elapsed());
    }
    let threads = fs::read_dir(format!("/proc/{dispatcher}/task")).expect("the dispatcher lives").count();
    println!("{sent} to the healthy one, slowest {slowest:?}; {threads} threads");
    assert!(slowest < PROMPT, "{slowest:?}");
    bench.wait_for_count("webhook_subscriptions WHERE waiting_for LIKE '%host name%'", NAMES as i64);
    assert_eq!(bench.receiver.received(PATH), 0);
    // The endpoints were never asked, so nothing has failed.
    assert_eq!(bench.count("webhook_history"), 0);

    server.set_silent(false);
    let answering = Instant::now();
    bench.wait_for_empty_queue();
    println!("all delivered {:?} after names could be resolved", answering.elapsed());
    assert_eq!(deliveries(&bench.receiver).len(), 5 * NAMES);
    assert_eq!(cluster.find_dispatcher("names"), Some(dispatcher));
}

/// Emits an event for the healthy receiver again and again. Returns the longest time until one arrived.
fn slowest_of(bench: &mut Bench, healthy: &Receiver, time: Duration) -> Duration {
    let (start, mut slowest) = (Instant::now(), Duration::ZERO);
    while start.elapsed() < time {
        let (emitted, sent) = (Instant::now(), healthy.received(PATH));
        bench.emit("ticket.resolved", "{}");
        healthy.wait_for(PATH, sent + 1, PATIENCE);
        slowest = slowest.max(emitted.elapsed());
    }
    slowest
}

#[test]
fn four_hundred_names_that_hang_delay_no_endpoint_with_a_name_also_when_it_is_looked_up_again() {
    const NAMES: usize = 400;
    let Some(server) = name_server() else { return };
    let cluster = Cluster::start_within(Some(server.surroundings()), &[]);
    let mut bench = Bench::new(&cluster, "hanging_names");
    let healthy = Receiver::start();
    for name in 0..NAMES {
        let url = format!("http://{HANGING}{name}.receiver.example:1{PATH}");
        let schedule = "retry_schedule => array_fill(interval '1 s', ARRAY[50])";
        subscribe(&mut bench.client, &url, "ticket.created", &[schedule]);
    }
    let url = format!("http://healthy.receiver.example:{}{PATH}", healthy.address().port());
    subscribe(&mut bench.client, &url, "ticket.resolved", &[]);
    bench.emit("ticket.resolved", "{}");
    healthy.wait_for(PATH, 1, PATIENCE);
    bench.emit_tickets(1..=5);
    // Longer than an address is kept.
    let slowest = slowest_of(&mut bench, &healthy, Duration::from_secs(13));
    println!("slowest {slowest:?}");
    assert!(slowest < PROMPT, "{slowest:?}");
    let failed: i64 = bench.ask("SELECT count(*) FROM hydra.webhook_history WHERE event = 'ticket.resolved'");
    assert_eq!(failed, 0);
}
