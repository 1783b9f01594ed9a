//! A receiver inside the test process. A script says how each connection is served.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use socket2::{Domain, Socket, Type};

pub struct Receiver {
    port: u16,
    connections: Arc<AtomicUsize>,
}

/// A request that was received.
pub struct Received {
    pub head: String,
    pub body: String,
}

impl Received {
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

impl Receiver {
    /// Serves each connection with the script, which gets the number of connections before it. The connection closes when
    /// the script ends.
    pub fn serving(script: impl Fn(usize, TcpStream) + Send + Sync + 'static) -> Self {
        Self::on(([127, 0, 0, 1].into(), 0), script)
    }

    /// Does the same at this address.
    pub fn on(address: (IpAddr, u16), script: impl Fn(usize, TcpStream) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        let port = listener.local_addr().unwrap().port();
        let connections = Arc::new(AtomicUsize::new(0));
        let (script, counter) = (Arc::new(script), connections.clone());
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (script, number) = (script.clone(), counter.fetch_add(1, Ordering::SeqCst));
                thread::spawn(move || script(number, stream.unwrap()));
            }
        });
        Self { port, connections }
    }

    /// Gives every request the same answer and keeps its connections.
    pub fn answering(answer: impl Into<String>) -> Self {
        let answer = answer.into();
        Self::serving(
            move |_, mut stream| {
                while read_request(&mut stream).is_some() && stream.write_all(answer.as_bytes()).is_ok() {}
            },
        )
    }

    /// Keeps the requests that it gets, and answers 200.
    pub fn keeping() -> (Self, Arc<Mutex<Vec<Received>>>) {
        let kept = Arc::new(Mutex::new(Vec::new()));
        let list = kept.clone();
        let receiver = Self::serving(move |_, mut stream| {
            while let Some(request) = read_request(&mut stream) {
                list.lock().unwrap().push(request);
                stream.write_all(OK.as_bytes()).unwrap();
            }
        });
        (receiver, kept)
    }

    /// Reads whatever comes and never answers.
    pub fn silent() -> Self {
        Self::serving(|_, mut stream| while stream.read(&mut [0; 1024]).is_ok_and(|amount| amount > 0) {})
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/in?key=hidden", self.port)
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// The number of connections that have been accepted so far.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

/// An address whose queue of connections is full, so that it answers no further one.
pub fn full() -> (SocketAddr, Vec<Socket>) {
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    listener.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    listener.listen(0).unwrap();
    let address = listener.local_addr().unwrap().as_socket().unwrap();
    // The first connection takes the only place.
    let first = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    first.connect(&address.into()).unwrap();
    let others = (0..2).map(|_| {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.set_nonblocking(true).unwrap();
        let _ = socket.connect(&address.into());
        socket
    });
    (address, [listener, first].into_iter().chain(others).collect())
}

/// An address that refuses connections, as long as the socket is there: nobody else can listen on its port.
pub fn closed() -> (SocketAddr, Socket) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    (socket.local_addr().unwrap().as_socket().unwrap(), socket)
}

pub const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// Reads a request. `None` at the end of the connection.
pub fn read_request(stream: &mut impl Read) -> Option<Received> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(read_exactly(stream, 1)?[0]);
    }
    let mut request = Received { head: String::from_utf8(head).unwrap(), body: String::new() };
    let length = request.header("content-length").unwrap().parse().unwrap();
    request.body = String::from_utf8(read_exactly(stream, length)?).unwrap();
    Some(request)
}

fn read_exactly(stream: &mut impl Read, length: usize) -> Option<Vec<u8>> {
    let mut bytes = vec![0; length];
    stream.read_exact(&mut bytes).ok().map(|()| bytes)
}

/// Writes until the connection closes.
pub fn write_for_ever(stream: &mut impl Write, piece: &str) {
    while stream.write_all(piece.as_bytes()).is_ok() {}
}
