//! Ways to misbehave, in the clear and over TLS.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rcgen::date_time_ymd;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use socket2::SockRef;
use testkit::authority::{Authority, certificate_for};

use crate::{LATE, LIMIT};

pub type Conduct = Box<dyn Fn(TcpStream) -> io::Result<()> + Send + Sync>;

/// A way to misbehave, and what the history then says of each attempt: a status, or the class of its failure.
pub struct Behaviour {
    pub name: &'static str,
    pub outcome: &'static str,
    pub scheme: &'static str,
    pub conduct: Conduct,
}

fn plain(
    name: &'static str,
    outcome: &'static str,
    conduct: impl Fn(TcpStream) -> io::Result<()> + Send + Sync + 'static,
) -> Behaviour {
    Behaviour { name, outcome, scheme: "http", conduct: Box::new(conduct) }
}

fn over_tls(
    name: &'static str,
    outcome: &'static str,
    conduct: impl Fn(TcpStream) -> io::Result<()> + Send + Sync + 'static,
) -> Behaviour {
    Behaviour { scheme: "https", ..plain(name, outcome, conduct) }
}

/// Reads one request to its end.
fn read_request(stream: &mut impl Read) -> io::Result<()> {
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    // Every body is a JSON object, so it ends with a brace.
    while !request.ends_with(b"}") {
        match stream.read(&mut buffer)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            length => request.extend_from_slice(&buffer[..length]),
        }
    }
    Ok(())
}

/// Waits until the other side closes.
fn hold(stream: &mut impl Read) -> io::Result<()> {
    let mut buffer = [0; 4096];
    while stream.read(&mut buffer)? > 0 {}
    Ok(())
}

/// Makes the close a reset, which discards what was not received.
fn reset(stream: &TcpStream) -> io::Result<()> {
    SockRef::from(stream).set_linger(Some(Duration::ZERO))
}

/// Reads a request, answers with these bytes and closes.
fn answers(bytes: impl Into<Vec<u8>>) -> impl Fn(TcpStream) -> io::Result<()> + Send + Sync {
    let bytes = bytes.into();
    move |mut stream| {
        read_request(&mut stream)?;
        stream.write_all(&bytes)
    }
}

/// The same, and then sends `more` for ever, with a pause before each time.
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

/// The same, and then sends nothing more.
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

/// An answer that unpacks to two hundred megabytes of zeros.
fn gzip_bomb() -> Vec<u8> {
    let script = "head -c 200000000 /dev/zero | gzip -9";
    let packed = std::process::Command::new("sh").args(["-c", script]).output().expect("gzip runs").stdout;
    let head =
        format!("HTTP/1.1 500 Bomb\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n", packed.len()).into_bytes();
    [head, packed].concat()
}

pub fn plain_behaviours() -> Vec<Behaviour> {
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
        plain("resets in the middle of the head", "connection", |mut stream| {
            read_request(&mut stream)?;
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-")?;
            thread::sleep(Duration::from_millis(20));
            reset(&stream)
        }),
        plain("answers byte by byte", "timeout", goes_on("HTTP/1.1 200 O", b"k".to_vec(), slowly)),
        plain("sends a header now and then", "timeout", goes_on("HTTP/1.1 200 OK\r\n", b"X: y\r\n".to_vec(), slowly)),
        plain("sends headers without end", "protocol", goes_on("HTTP/1.1 200 OK\r\n", header(), at_once)),
        plain("sends one header without end", "protocol", goes_on("HTTP/1.1 200 OK\r\nX: ", vec![b'x'; 9000], at_once)),
        plain("sends a status line without end", "protocol", goes_on("HTTP/1.1 200 ", vec![b'x'; 9000], at_once)),
        plain(
            "sends interim answers without end",
            "protocol",
            goes_on("", b"HTTP/1.1 103 Early\r\nLink: x\r\n\r\n".repeat(99), at_once),
        ),
        plain("announces an answer and sends none", "timeout", falls_silent("HTTP/1.1 100 Continue\r\n\r\n")),
        plain("switches protocols", "101", falls_silent("HTTP/1.1 101 Switching Protocols\r\n\r\n")),
        plain("sends two hundred headers", "200", move |mut stream: TcpStream| {
            read_request(&mut stream)?;
            stream.write_all(&[b"HTTP/1.1 200 OK\r\n", header().as_slice(), b"\r\n"].concat())
        }),
        plain("sends garbage", "protocol", answers([0, 159, 146, 150].repeat(50))),
        plain("is another service", "protocol", answers("SSH-2.0-OpenSSH_9.9\r\n")),
        plain("sends a page without a head", "protocol", answers("<html><body>It works!</body></html>\r\n\r\n")),
        plain("speaks HTTP/2", "protocol", answers(b"\0\0\x06\x04\0\0\0\0\0\0\x04\0\0\xff\xff".to_vec())),
        plain("speaks HTTP/9", "protocol", answers("HTTP/9.9 200 OK\r\n\r\n")),
        plain("says that it speaks HTTP/2", "200", answers("HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n")),
        plain(
            "has lines that are no headers",
            "200",
            answers("HTTP/1.1 200 OK\r\nServer : x\r\nA B: c\r\n d\r\nnone\r\n\r\n"),
        ),
        plain("sends interim answers with headers", "200", move |mut stream: TcpStream| {
            read_request(&mut stream)?;
            stream.write_all(b"HTTP/1.1 100 Continue\r\nDate: now\r\n\r\nHTTP/1.1 103 Early\r\nLink: x\r\n\r\n")?;
            thread::sleep(slowly);
            stream.write_all(ok.as_bytes())
        }),
        plain("fails at length", "500", move |mut stream: TcpStream| {
            read_request(&mut stream)?;
            let head = [b"HTTP/1.1 500 Odd\r\n", header().repeat(9).as_slice(), b"\r\n"].concat();
            stream.write_all(&head)
        }),
        plain("speaks HTTP/1.0", "200", answers("HTTP/1.0 200 OK\r\n\r\nall")),
        plain("answers 999", "999", answers("HTTP/1.1 999 Odd\r\nContent-Length: 0\r\n\r\n")),
        plain("answers 99", "protocol", answers("HTTP/1.1 99 Odd\r\nContent-Length: 0\r\n\r\n")),
        plain("has a zero byte in a header", "200", answers(b"HTTP/1.1 200 OK\r\nX: a\0b\r\n\r\n".to_vec())),
        plain("has a negative length", "200", answers("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n")),
        plain(
            "has a length beyond all numbers",
            "200",
            answers("HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n"),
        ),
        plain("has two lengths", "200", answers("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab")),
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
        plain("sends a failure byte by byte", "500", goes_on("HTTP/1.1 500 Odd\r\n\r\n", b"x".to_vec(), slowly)),
        plain("ends before its length", "500", answers("HTTP/1.1 500 Odd\r\nContent-Length: 9000\r\n\r\nabc")),
        plain("sends a bomb", "500", answers(gzip_bomb())),
        plain("redirects to itself", "302", answers("HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n")),
        plain("answers twice", "200", answers(ok.repeat(2))),
        plain("answers before it was asked", "200", move |mut stream: TcpStream| {
            stream.write_all(ok.as_bytes())?;
            read_request(&mut stream)
        }),
        plain(
            "asks for a pause of centuries",
            "503",
            answers("HTTP/1.1 503 Later\r\nRetry-After: 99999999999999999999\r\nContent-Length: 0\r\n\r\n"),
        ),
    ]
}

/// Two authorities: one that is trusted, and one that is not.
pub struct Authorities {
    pub trusted: Authority,
    pub other: Authority,
}

impl Authorities {
    pub fn new() -> Authorities {
        Authorities { trusted: Authority::new(), other: Authority::new() }
    }

    /// For a receiver with a certificate for this name, valid in these years.
    fn certify(&self, name: &str, years: (i32, i32)) -> Arc<ServerConfig> {
        let mut params = certificate_for(name);
        (params.not_before, params.not_after) = (date_time_ymd(years.0, 1, 1), date_time_ymd(years.1, 1, 1));
        self.trusted.server_of(params)
    }

    pub fn behaviours(&self) -> Vec<Behaviour> {
        const HERE: &str = "127.0.0.1";
        const NOW: (i32, i32) = (2020, 2100);
        let ok = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
        let serving = |name, outcome, config: Arc<ServerConfig>| {
            over_tls(name, outcome, move |stream| tls(config.clone(), stream, ok, false))
        };
        let (good, mute, ending) = (self.trusted.server(), self.trusted.server(), self.trusted.server());
        vec![
            serving("is healthy", "200", good),
            serving("has an expired certificate", "tls", self.certify(HERE, (2001, 2002))),
            serving("has a certificate of the future", "tls", self.certify(HERE, (2098, 2099))),
            serving("has a certificate for another name", "tls", self.certify("receiver.example", NOW)),
            serving("has a certificate of an unknown authority", "tls", self.other.server()),
            serving("demands a certificate from its client", "tls", self.trusted.server_that_asks()),
            over_tls("speaks no TLS", "tls", |mut stream| {
                stream.write_all(ok)?;
                hold(&mut stream)
            }),
            over_tls("is another service over TLS", "tls", |mut stream| {
                stream.write_all(b"SSH-2.0-OpenSSH_9.9\r\n")?;
                hold(&mut stream)
            }),
            over_tls("is silent before the handshake", "timeout", |mut stream| hold(&mut stream)),
            over_tls("closes during the handshake", "connection", |mut stream| {
                stream.read_exact(&mut [0; 100])?;
                reset(&stream)
            }),
            over_tls("sends the handshake byte by byte", "timeout", |mut stream| {
                stream.write_all(b"\x16\x03\x03\x3f\x00\x02\x00\x3e\xfc")?;
                loop {
                    thread::sleep(Duration::from_millis(100));
                    stream.write_all(b"\0")?;
                }
            }),
            over_tls("is silent after the handshake", "timeout", move |stream| tls(mute.clone(), stream, b"", true)),
            over_tls("sends more after it has ended TLS", "connection", move |mut stream| {
                let mut connection = ServerConnection::new(ending.clone()).map_err(io::Error::other)?;
                connection.complete_io(&mut stream)?;
                read_request(&mut rustls::Stream::new(&mut connection, &mut stream))?;
                connection.send_close_notify();
                let mut bytes = Vec::new();
                connection.write_tls(&mut bytes)?;
                bytes.extend([b'x'; 8192]);
                stream.write_all(&bytes)?;
                hold(&mut stream)
            }),
        ]
    }
}

/// Serves connections until the test ends.
pub fn serve(conduct: Conduct) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    let address = listener.local_addr().expect("it is bound");
    let conduct = Arc::new(conduct);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let conduct = conduct.clone();
            // An error means that the other side has closed, which it may.
            thread::spawn(move || conduct(stream));
        }
    });
    address
}
