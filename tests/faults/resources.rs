//! Servers that run short: of disk space, of file descriptors, of answers from the name server.

use std::collections::BTreeSet;
use std::fs;
use std::net::UdpSocket;
use std::os::unix::fs::MetadataExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use postgres::Client;
use postgres::error::SqlState;
use testkit::cluster::{Cluster, Surroundings, wait_until};
use testkit::receiver::{Answer, Receiver};
use testkit::{PATIENCE, StopWhenDropped, ask, number, run, subscribe, wait_for_empty_queue};

const PATH: &str = "/";

/// Mounting takes root, which a developer may not be.
fn may_mount() -> bool {
    let root = fs::metadata("/proc/self").expect("/proc is mounted").uid() == 0;
    let may =
        root && std::process::Command::new("unshare").args(["--mount", "true"]).status().is_ok_and(|s| s.success());
    if !may {
        eprintln!("skipped: only root may mount, and not in every container");
    }
    may
}

fn emit(client: &mut Client, from: usize, to: usize) {
    run(
        client,
        &format!(
            "SELECT count(hydra.webhook_emit('ticket.created', jsonb_build_object('id', n::text)))
             FROM generate_series({from}, {to}) AS n"
        ),
    );
}

/// Which deliveries arrived.
fn deliveries(receiver: &Receiver) -> BTreeSet<String> {
    receiver.requests(PATH).iter().map(|request| request.delivery_id().to_owned()).collect()
}

#[test]
fn a_full_disk_holds_up_what_has_to_be_written_and_nothing_is_lost_or_sent_again_meanwhile() {
    if !may_mount() {
        return;
    }
    const EVENTS: usize = 300;
    let small_disk = "mkdir -p small; mount -t tmpfs -o size=40m tmpfs small; chown --reference=. small; exec \"$@\"";
    let cluster = Cluster::start_within(Some(Surroundings { script: small_disk, mounts: true }), &[]);
    let small = cluster.directory().join("small");
    run(&mut cluster.connect("postgres"), &format!("CREATE TABLESPACE small LOCATION '{}'", small.display()));
    run(&mut cluster.connect("postgres"), "CREATE DATABASE full_disk TABLESPACE small");
    let mut client = cluster.connect("full_disk");
    run(&mut client, "CREATE EXTENSION hydra_webhooks");
    let receiver = Receiver::start();
    subscribe(&mut client, &receiver.url(PATH), "ticket.created", &["retry_schedule => '{1 s,1 s,1 s}'"]);
    let dispatcher = cluster.dispatcher_pid("full_disk");

    cluster.set(&[("hydra_webhooks.enabled", "off")]);
    wait_until("nothing is sent", PATIENCE, || {
        ask::<String>(&mut client, "SELECT state FROM hydra.webhook_worker_status") == "off"
    });
    emit(&mut client, 1, EVENTS);
    run(&mut client, "CREATE TABLE filler (text text)");
    // Large pieces first, then what still fits beside them.
    for rows in [1000, 10] {
        let piece = format!("INSERT INTO filler SELECT md5(n::text) FROM generate_series(1, {rows}) AS n");
        let full = loop {
            if let Err(error) = client.batch_execute(&piece) {
                break error;
            }
        };
        assert_eq!(full.code(), Some(&SqlState::DISK_FULL), "{full:?}");
    }

    // Every delivery fails first, which is a row each to write.
    receiver.answer_first(PATH, EVENTS, Answer::status(500));
    cluster.set(&[("hydra_webhooks.enabled", "on")]);
    let complaints = || cluster.log().matches("hydra_webhooks dispatcher: could not extend file").count();
    wait_until("it has tried to write again and again", PATIENCE, || complaints() > 4);
    assert_eq!(receiver.received(PATH), deliveries(&receiver).len(), "nothing is sent again that cannot be claimed");

    run(&mut client, "DROP TABLE filler");
    wait_for_empty_queue(&mut client);
    assert_eq!((receiver.received(PATH), deliveries(&receiver).len()), (2 * EVENTS, EVENTS));
    assert_eq!(cluster.find_dispatcher("full_disk"), Some(dispatcher));
}

#[test]
fn with_sixty_four_descriptors_everything_is_delivered() {
    const RECEIVERS: usize = 40;
    const EVENTS: usize = 50;
    let cluster = Cluster::start_within(Some(Surroundings { script: "ulimit -n 64; exec \"$@\"", mounts: false }), &[]);
    let mut client = cluster.create_database("descriptors");
    let receivers: Vec<Receiver> = (0..RECEIVERS).map(|_| Receiver::start()).collect();
    for receiver in &receivers {
        subscribe(&mut client, &receiver.url(PATH), "ticket.created", &["retry_schedule => '{1 s,1 s,1 s}'"]);
    }
    let dispatcher = cluster.dispatcher_pid("descriptors");
    let limits = fs::read_to_string(format!("/proc/{dispatcher}/limits")).expect("the dispatcher lives");
    let limit = limits.lines().find(|line| line.starts_with("Max open files")).expect("a known line");
    assert_eq!(limit.split_whitespace().nth(4), Some("64"), "{limit}");
    emit(&mut client, 1, EVENTS);
    wait_for_empty_queue(&mut client);
    for receiver in &receivers {
        assert_eq!(deliveries(receiver).len(), EVENTS);
    }
    let failures: i64 = ask(&mut client, "SELECT count(*) FROM hydra.webhook_history WHERE error IS NOT NULL");
    assert_eq!((failures, cluster.find_dispatcher("descriptors")), (0, Some(dispatcher)));
}

#[test]
fn with_read_only_as_the_default_everything_is_delivered() {
    let cluster = Cluster::start(&[]);
    let mut client = cluster.create_database("read_only");
    let receiver = Receiver::start();
    receiver.answer_first(PATH, 5, Answer::status(500));
    subscribe(&mut client, &receiver.url(PATH), "ticket.created", &["retry_schedule => '{0.1 s,0.1 s}'"]);
    cluster.set(&[("default_transaction_read_only", "on")]);
    let mut writer = cluster.connect("read_only");
    run(&mut writer, "SET default_transaction_read_only = off");
    emit(&mut writer, 1, 10);
    wait_for_empty_queue(&mut writer);
    assert_eq!((receiver.received(PATH), deliveries(&receiver).len()), (15, 10));
}

// ---- names ----------------------------------------------------------------------------------------------------------

/// Nobody else is likely to use this address of loopback.
const NAME_SERVER: &str = "127.77.53.53:53";

/// A name server that is silent at first, and later says that every name is 127.0.0.1.
fn serve_names(socket: &UdpSocket, silent: &AtomicBool, stop: &AtomicBool) {
    socket.set_read_timeout(Some(Duration::from_millis(100))).expect("a time limit");
    let mut question = [0; 512];
    while !stop.load(Ordering::Relaxed) {
        let Ok((length, from)) = socket.recv_from(&mut question) else { continue };
        // Header, name, type and class; what may follow is no part of a plain answer.
        let name = question[12..length].iter().position(|&byte| byte == 0).expect("a name ends");
        let end = 12 + name + 5;
        if silent.load(Ordering::Relaxed) {
            continue;
        }
        let for_address = question[end - 4..end - 2] == [0, 1];
        let mut answer = question[..end].to_vec();
        answer[2..12].copy_from_slice(&[0x81, 0x80, 0, 1, 0, u8::from(for_address), 0, 0, 0, 0]);
        if for_address {
            // A pointer to the name; address, internet, one second, four bytes.
            answer.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4, 127, 0, 0, 1]);
        }
        let _ = socket.send_to(&answer, from);
    }
}

/// `HYDRA_SECONDS=300` makes it a long one.
#[test]
fn a_name_server_that_is_silent_holds_up_nobody_else_and_deliveries_go_on_when_it_answers() {
    const NAMES: usize = 60;
    if !may_mount() {
        return;
    }
    let Ok(socket) = UdpSocket::bind(NAME_SERVER) else {
        return eprintln!("skipped: the port of name servers is not ours to take");
    };
    let silence = Duration::from_secs(number("HYDRA_SECONDS").unwrap_or(5));
    let script = "echo 'nameserver 127.77.53.53' > names; mount --bind names /etc/resolv.conf; exec \"$@\"";
    let cluster = Cluster::start_within(Some(Surroundings { script, mounts: true }), &[]);
    let mut client = cluster.create_database("names");
    let (receiver, healthy) = (Receiver::start(), Receiver::start());
    subscribe(&mut client, &healthy.url(PATH), "ticket.resolved", &[]);
    for name in 0..NAMES {
        let url = format!("http://n{name}.receiver.example:{}{PATH}", receiver.address().port());
        let schedule = "retry_schedule => array_fill(interval '8 s', ARRAY[50])";
        subscribe(&mut client, &url, "ticket.created", &["timeout => '2 s'", schedule]);
    }
    let dispatcher = cluster.dispatcher_pid("names");

    let (silent, stop) = (AtomicBool::new(true), AtomicBool::new(false));
    thread::scope(|scope| {
        scope.spawn(|| serve_names(&socket, &silent, &stop));
        let _stop = StopWhenDropped(&stop);
        emit(&mut client, 1, 5);
        let start = Instant::now();
        let mut slowest = Duration::ZERO;
        let mut sent = 0;
        while start.elapsed() < silence {
            let emitted = Instant::now();
            run(&mut client, "SELECT hydra.webhook_emit('ticket.resolved', '{\"id\": \"1\"}')");
            sent += 1;
            healthy.wait_for(PATH, sent, PATIENCE);
            slowest = slowest.max(emitted.elapsed());
        }
        let threads = fs::read_dir(format!("/proc/{dispatcher}/task")).expect("the dispatcher lives").count();
        println!("{sent} to the healthy one, slowest {slowest:?}; {threads} threads");
        assert!(slowest < Duration::from_secs(2), "{slowest:?}");
        assert_eq!(receiver.received(PATH), 0);
        let told: Vec<String> = ask(&mut client, "SELECT array_agg(DISTINCT error_class) FROM hydra.webhook_history");
        assert!(told.iter().all(|class| ["timeout", "dns"].contains(&class.as_str())), "{told:?}");

        silent.store(false, Ordering::Relaxed);
        let answering = Instant::now();
        wait_for_empty_queue(&mut client);
        println!("all delivered {:?} after names could be resolved", answering.elapsed());
    });
    assert_eq!(deliveries(&receiver).len(), 5 * NAMES);
    assert_eq!(cluster.find_dispatcher("names"), Some(dispatcher));
}
