//! Receivers that misbehave, each in a way of its own, all at the same time, beside one that does not.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use postgres::Client;
use rcgen::{CertificateParams, date_time_ymd};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use socket2::SockRef;
use testkit::authority::Authority;
use testkit::cluster::{Cluster, wait_until};
use testkit::receiver::{Receiver, Request};
use testkit::{ask, rounds, run, subscribe};

/// The time limit of each attempt, and by how much a busy machine may miss it.
const LIMIT: Duration = Duration::from_secs(2);
const LATE: Duration = Duration::from_millis(500);

/// How often the receiver that behaves gets something.
const HEALTHY_EVERY: Duration = Duration::from_millis(30);

/// What the dispatcher may need for all of them, in kB.
const MEMORY: u64 = 32 << 10;

const PATIENCE: Duration = Duration::from_secs(300);

type Conduct = Box<dyn Fn(TcpStream) -> io::Result<()> + Send + Sync>;

/// A way to misbehave, and what the history then says of each attempt: a status, or the class of its failure.
struct Behaviour {
    name: &'static str,
    told: &'static str,
    scheme: &'static str,
    conduct: Conduct,
}

fn plain(
    name: &'static str,
    told: &'static str,
    conduct: impl Fn(TcpStream) -> io::Result<()> + Send + Sync + 'static,
) -> Behaviour {
    Behaviour { name, told, scheme: "http", conduct: Box::new(conduct) }
}

fn over_tls(
    name: &'static str,
    told: &'static str,
    conduct: impl Fn(TcpStream) -> io::Result<()> + Send + Sync + 'static,
) -> Behaviour {
    Behaviour { scheme: "https", ..plain(name, told, conduct) }
}

// ---- conduct --------------------------------------------------------------------------------------------------------

/// Reads one request to its end.
fn read_request(stream: &mut impl Read) -> io::Result<()> {
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    // Nothing follows the object that every body is.
    while !request.ends_with(b"}") {
        match stream.read(&mut buffer)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            length => request.extend_from_slice(&buffer[..length]),
        }
    }
    Ok(())
}

/// Until the other side has had enough.
fn hold(stream: &mut impl Read) -> io::Result<()> {
    let mut buffer = [0; 4096];
    while stream.read(&mut buffer)? > 0 {}
    Ok(())
}

/// Closes in a way that discards what was not received yet.
fn reset(stream: &TcpStream) -> io::Result<()> {
    SockRef::from(stream).set_linger(Some(Duration::ZERO))
}

/// Reads a request, answers these bytes, and closes.
fn answers(bytes: impl Into<Vec<u8>>) -> impl Fn(TcpStream) -> io::Result<()> + Send + Sync {
    let bytes = bytes.into();
    move |mut stream| {
        read_request(&mut stream)?;
        stream.write_all(&bytes)
    }
}

/// The same, and goes on with the others for ever, with a pause before each of them.
fn goes_on(start: &'static str, more: Vec<u8>, pause: Duration) -> impl Fn(TcpStream) -> io::Result<()> + Send + Sync {
    move |mut stream| {
        read_request(&mut stream)?;
        stream.write_all(start.as_bytes())?;
        loop {
            thread::sleep(pause);
            stream.write_all(&more)?;
        }
    }
}

/// The same, and then is silent.
fn falls_silent(bytes: &'static str) -> impl Fn(TcpStream) -> io::Result<()> + Send + Sync {
    move |mut stream| {
        read_request(&mut stream)?;
        stream.write_all(bytes.as_bytes())?;
        hold(&mut stream)
    }
}

fn tls(config: Arc<ServerConfig>, mut stream: TcpStream, then: &[u8], silent: bool) -> io::Result<()> {
    let mut connection = ServerConnection::new(config).map_err(io::Error::other)?;
    connection.complete_io(&mut stream)?;
    let mut stream = StreamOwned::new(connection, stream);
    read_request(&mut stream)?;
    stream.write_all(then)?;
    stream.flush()?;
    if silent { hold(&mut stream) } else { Ok(()) }
}

/// An answer that would be two hundred megabytes of zeros to whoever unpacks it.
fn gzip_bomb() -> Vec<u8> {
    let script = "head -c 200000000 /dev/zero | gzip -9";
    let packed = std::process::Command::new("sh").args(["-c", script]).output().expect("gzip runs").stdout;
    let head =
        format!("HTTP/1.1 500 Bomb\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n", packed.len()).into_bytes();
    [head, packed].concat()
}

fn plain_behaviours() -> Vec<Behaviour> {
    let (at_once, slowly) = (Duration::ZERO, Duration::from_millis(100));
    let header = || "X-Padding: 0123456789abcdef0123456789abcdef\r\n".repeat(200).into_bytes();
    let ok = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    vec![
        plain("never reads", "timeout", |stream| {
            thread::sleep(LIMIT + 2 * LATE);
            reset(&stream)
        }),
        plain("reads and is silent", "timeout", |mut stream| hold(&mut stream)),
        plain("closes at once", "connection", |_| Ok(())),
        plain("resets at once", "connection", |stream| reset(&stream)),
        plain("closes after the request", "connection", answers("")),
        plain("resets after the request", "connection", |mut stream| {
            read_request(&mut stream)?;
            reset(&stream)
        }),
        plain("closes its half and waits", "connection", |mut stream| {
            read_request(&mut stream)?;
            stream.shutdown(Shutdown::Write)?;
            hold(&mut stream)
        }),
        plain("resets in the midst of the head", "connection", |mut stream| {
            read_request(&mut stream)?;
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-")?;
            thread::sleep(Duration::from_millis(20));
            reset(&stream)
        }),
        plain("answers letter by letter", "timeout", goes_on("HTTP/1.1 200 O", b"k".to_vec(), slowly)),
        plain("sends a header now and then", "timeout", goes_on("HTTP/1.1 200 OK\r\n", b"X: y\r\n".to_vec(), slowly)),
        plain("sends headers without end", "protocol", goes_on("HTTP/1.1 200 OK\r\n", header(), at_once)),
        plain("sends one header without end", "protocol", goes_on("HTTP/1.1 200 OK\r\nX: ", vec![b'x'; 9000], at_once)),
        plain("sends a status line without end", "protocol", goes_on("HTTP/1.1 200 ", vec![b'x'; 9000], at_once)),
        plain(
            "sends interim answers without end",
            "protocol",
            goes_on("", b"HTTP/1.1 103 Early\r\nLink: x\r\n\r\n".repeat(99), at_once),
        ),
        plain("promises to go on, and does not", "timeout", falls_silent("HTTP/1.1 100 Continue\r\n\r\n")),
        plain("switches protocols", "101", falls_silent("HTTP/1.1 101 Switching Protocols\r\n\r\n")),
        plain("sends two hundred headers", "protocol", move |mut stream: TcpStream| {
            read_request(&mut stream)?;
            stream.write_all(&[b"HTTP/1.1 200 OK\r\n", header().as_slice(), b"\r\n"].concat())
        }),
        plain("sends garbage", "protocol", answers([0, 159, 146, 150].repeat(50))),
        plain("is another service", "protocol", answers("SSH-2.0-OpenSSH_9.9\r\n")),
        plain("sends a page without a head", "protocol", answers("<html><body>It works!</body></html>\r\n\r\n")),
        plain("speaks HTTP/2", "protocol", answers(b"\0\0\x06\x04\0\0\0\0\0\0\x04\0\0\xff\xff".to_vec())),
        plain("speaks HTTP/9", "protocol", answers("HTTP/9.9 200 OK\r\n\r\n")),
        plain("speaks HTTP/1.0", "200", answers("HTTP/1.0 200 OK\r\n\r\nall")),
        plain("answers 999", "999", answers("HTTP/1.1 999 Odd\r\nContent-Length: 0\r\n\r\n")),
        plain("answers 99", "protocol", answers("HTTP/1.1 99 Odd\r\nContent-Length: 0\r\n\r\n")),
        plain("has a zero byte in a header", "protocol", answers(b"HTTP/1.1 200 OK\r\nX: a\0b\r\n\r\n".to_vec())),
        plain("has a negative length", "protocol", answers("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n")),
        plain(
            "has a length beyond all numbers",
            "protocol",
            answers("HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n"),
        ),
        plain(
            "has two lengths",
            "protocol",
            answers("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"),
        ),
        plain(
            "has chunks of no size",
            "500",
            answers("HTTP/1.1 500 Odd\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n0\r\n\r\n"),
        ),
        plain(
            "has chunks beyond all numbers",
            "500",
            answers("HTTP/1.1 500 Odd\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nabc"),
        ),
        plain("sends a success without end", "200", goes_on("HTTP/1.1 200 OK\r\n\r\n", vec![b'x'; 64 << 10], at_once)),
        plain(
            "sends a failure without end",
            "500",
            goes_on(
                "HTTP/1.1 500 Odd\r\nTransfer-Encoding: chunked\r\n\r\n",
                b"10\r\n0123456789abcdef\r\n".repeat(99),
                at_once,
            ),
        ),
        plain("sends a failure drop by drop", "500", goes_on("HTTP/1.1 500 Odd\r\n\r\n", b"x".to_vec(), slowly)),
        plain("ends before its length", "500", answers("HTTP/1.1 500 Odd\r\nContent-Length: 9000\r\n\r\nabc")),
        plain("sends a bomb", "500", answers(gzip_bomb())),
        plain("redirects to itself", "302", answers("HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n")),
        plain("answers twice", "200", answers(ok.repeat(2))),
        plain("answers before it was asked", "200", move |mut stream: TcpStream| {
            stream.write_all(ok.as_bytes())?;
            read_request(&mut stream)
        }),
        plain(
            "asks for a pause of an age",
            "503",
            answers("HTTP/1.1 503 Later\r\nRetry-After: 99999999999999999999\r\nContent-Length: 0\r\n\r\n"),
        ),
    ]
}

/// Two authorities: one that is trusted, and one that is not.
struct Authorities {
    trusted: Authority,
    other: Authority,
}

impl Authorities {
    fn new() -> Authorities {
        Authorities { trusted: Authority::new(), other: Authority::new() }
    }

    /// How a receiver with a certificate for this name and these years begins.
    fn certify(&self, name: &str, years: (i32, i32)) -> Arc<ServerConfig> {
        let mut params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
        (params.not_before, params.not_after) = (date_time_ymd(years.0, 1, 1), date_time_ymd(years.1, 1, 1));
        self.trusted.server_of(params)
    }

    fn behaviours(&self) -> Vec<Behaviour> {
        const HERE: &str = "127.0.0.1";
        const NOW: (i32, i32) = (2020, 2100);
        let ok = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
        let serving = |name, told, config: Arc<ServerConfig>| {
            over_tls(name, told, move |stream| tls(config.clone(), stream, ok, false))
        };
        let (good, mute) = (self.trusted.server(), self.trusted.server());
        vec![
            serving("is as it should be", "200", good),
            serving("has an expired certificate", "tls", self.certify(HERE, (2001, 2002))),
            serving("has a certificate of the future", "tls", self.certify(HERE, (2098, 2099))),
            serving("has somebody else's certificate", "tls", self.certify("receiver.example", NOW)),
            serving("has a certificate of its own making", "tls", self.other.server()),
            serving("wants to know who we are", "tls", self.trusted.server_that_asks()),
            over_tls("speaks no TLS", "tls", |mut stream| {
                stream.write_all(ok)?;
                hold(&mut stream)
            }),
            over_tls("is another service over TLS", "tls", |mut stream| {
                stream.write_all(b"SSH-2.0-OpenSSH_9.9\r\n")?;
                hold(&mut stream)
            }),
            over_tls("is silent before the handshake", "timeout", |mut stream| hold(&mut stream)),
            over_tls("closes in the midst of the handshake", "connection", |mut stream| {
                stream.read_exact(&mut [0; 100])?;
                reset(&stream)
            }),
            over_tls("drips the handshake", "timeout", |mut stream| {
                stream.write_all(b"\x16\x03\x03\x3f\x00\x02\x00\x3e\xfc")?;
                loop {
                    thread::sleep(Duration::from_millis(100));
                    stream.write_all(b"\0")?;
                }
            }),
            over_tls("is silent after the handshake", "timeout", move |stream| tls(mute.clone(), stream, b"", true)),
        ]
    }
}

/// Serves connections in this way for as long as the test runs.
fn serve(conduct: Conduct) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    let address = listener.local_addr().expect("it is bound");
    let conduct = Arc::new(conduct);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let conduct = conduct.clone();
            // An error is the other side's going away, which is its right.
            thread::spawn(move || conduct(stream));
        }
    });
    address
}

// ---- the dispatcher -------------------------------------------------------------------------------------------------

/// A line of `/proc/…/status`: a number of kB, or of threads.
fn vital(pid: i32, name: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("the dispatcher lives");
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).expect("a known line");
    line.split_whitespace().next().and_then(|number| number.parse().ok()).expect("a number")
}

/// How many TCP connections of this process are open.
fn tcp_sockets(pid: i32) -> usize {
    let table = fs::read_to_string(format!("/proc/{pid}/net/tcp")).expect("the dispatcher lives");
    let ours = fs::read_dir(format!("/proc/{pid}/fd")).expect("the dispatcher lives");
    let links: BTreeSet<String> = ours
        .filter_map(|file| fs::read_link(file.ok()?.path()).ok()?.to_str().map(str::to_owned))
        .filter_map(|link| Some(link.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned()))
        .collect();
    table.lines().filter(|line| line.split_whitespace().nth(9).is_some_and(|inode| links.contains(inode))).count()
}

/// Emits an event for the receiver that behaves, again and again; returns how long each took to arrive.
fn latencies(cluster: &Cluster, receiver: &Receiver, stop: &AtomicBool) -> Vec<Duration> {
    let mut client = cluster.connect("hostile");
    let mut emitted = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let entity = format!("{{\"id\": \"{}\"}}", emitted.len());
        emitted.push(Instant::now());
        run(&mut client, &format!("SELECT hydra.webhook_emit('ticket.resolved', '{entity}')"));
        thread::sleep(HEALTHY_EVERY);
    }
    let requests = receiver.wait_for("/", emitted.len(), PATIENCE);
    let id = |request: &Request| {
        let body: serde_json::Value = serde_json::from_slice(&request.body).expect("the body is JSON");
        body["data"]["entity_id"].as_str().and_then(|id| id.parse::<usize>().ok()).expect("a number")
    };
    let mut taken: Vec<Duration> =
        requests.iter().map(|request| request.arrived.saturating_duration_since(emitted[id(request)])).collect();
    assert_eq!(taken.len(), emitted.len(), "each once");
    taken.sort();
    taken
}

/// What the history says of each subscription's attempts, and their number and longest time.
fn told(client: &mut Client) -> BTreeMap<i64, (BTreeSet<String>, i64, Duration)> {
    let sql = "SELECT subscription_id, array_agg(DISTINCT coalesce(status_code::text, error_class)), count(*),
                      max(response_ms)
               FROM hydra.webhook_history WHERE event = 'ticket.created' GROUP BY subscription_id";
    let rows = client.query(sql, &[]).expect("the history can be read");
    let row = |row: &postgres::Row| {
        let words: Vec<String> = row.get(1);
        (row.get(0), (words.into_iter().collect(), row.get(2), Duration::from_millis(row.get::<_, i32>(3) as u64)))
    };
    rows.iter().map(row).collect()
}

/// `HYDRA_ROUNDS=25` makes it a long one.
#[test]
fn receivers_that_misbehave_cost_one_attempt_each_and_nobody_else_anything() {
    let rounds = rounds(2) as i64;
    let cluster = Cluster::start(&[]);
    let authorities = Authorities::new();
    let authority = cluster.directory().join("authority.pem");
    fs::write(&authority, authorities.trusted.pem()).expect("the cluster's directory is ours");
    cluster.set(&[("hydra_webhooks.ca_file", authority.to_str().expect("a UTF-8 name"))]);
    let mut client = cluster.create_database("hostile");
    let healthy = Receiver::start();
    subscribe(&mut client, &healthy.url("/"), "ticket.resolved", &[]);

    let limit = format!("timeout => '{} s'", LIMIT.as_secs());
    let more = [limit.as_str(), "retry_schedule => '{}'", "log_successes => true"];
    let behaviours = plain_behaviours().into_iter().chain(authorities.behaviours());
    let expected: BTreeMap<i64, (&str, &str)> = behaviours
        .map(|Behaviour { name, told, scheme, conduct }| {
            let url = format!("{scheme}://{}/", serve(conduct));
            (subscribe(&mut client, &url, "ticket.created", &more).0, (name, told))
        })
        .collect();

    let dispatcher = cluster.dispatcher_pid("hostile");
    run(&mut client, "SELECT hydra.webhook_emit('ticket.resolved', '{\"id\": \"first\"}')");
    healthy.wait_for("/", 1, PATIENCE);
    healthy.clear();
    let before = vital(dispatcher, "VmRSS");

    let stop = AtomicBool::new(false);
    let latencies = thread::scope(|scope| {
        let latencies = scope.spawn(|| latencies(&cluster, &healthy, &stop));
        run(
            &mut client,
            &format!(
                "SELECT hydra.webhook_emit('ticket.created', jsonb_build_object('id', n)) FROM generate_series(1, {rounds}) n"
            ),
        );
        wait_until("every attempt has ended", PATIENCE, || {
            ask::<i64>(&mut client, "SELECT count(*) FROM hydra.webhook_history WHERE event = 'ticket.created'")
                == rounds * expected.len() as i64
        });
        stop.store(true, Ordering::Relaxed);
        latencies.join().expect("it has not panicked")
    });

    let told = told(&mut client);
    let slowest = told.values().map(|(_, _, slowest)| *slowest).max().expect("there are some");
    let differs = |(id, (name, expected)): (&i64, &(&str, &str))| {
        let (words, attempts, _) = &told[id];
        let as_expected = words.iter().eq([expected]) && *attempts == rounds;
        (!as_expected).then(|| format!("one that {name}: {expected} expected, {attempts} times {words:?}"))
    };
    let different: Vec<String> = expected.iter().filter_map(differs).collect();
    assert!(different.is_empty() && slowest <= LIMIT + LATE, "slowest {slowest:?}, {different:#?}");
    let p99 = latencies[latencies.len() * 99 / 100];
    let grown = vital(dispatcher, "VmHWM").saturating_sub(before);
    println!(
        "{} behaviours x {rounds}: slowest attempt {slowest:?} of {LIMIT:?}, memory {before} kB and {grown} kB more, \
         {} requests to the healthy one: p50 {:?}, p99 {p99:?}, slowest {:?}",
        expected.len(),
        latencies.len(),
        latencies[latencies.len() / 2],
        latencies[latencies.len() - 1]
    );
    assert!(p99 < Duration::from_secs(2), "{p99:?} to the healthy one");
    assert!(grown < MEMORY, "{grown} kB more");
    assert_eq!(cluster.find_dispatcher("hostile"), Some(dispatcher), "it has not been restarted");
    wait_until("all connections and threads are gone", PATIENCE, || {
        tcp_sockets(dispatcher) == 0 && vital(dispatcher, "Threads") <= 2
    });
}
