//! Accepts connections and runs them.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

use crate::exchange::{self, Peer};
use crate::framing::LIMITS;
use crate::gateway::{Gateway, Stage};
use crate::guard::{Guard, Patience};
use crate::settings::Fault;

const PATIENCE: Patience =
    Patience { idle: Duration::from_secs(60), head: Duration::from_secs(10), write: Duration::from_secs(30) };
/// For who is silent when most of the connections are taken.
const IDLE_WHEN_CROWDED: Duration = Duration::from_secs(5);
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Connections that wait to be accepted. The system lowers it to its own limit.
const BACKLOG: i32 = 4096;
const BUFFER: usize = 32 << 10;
/// After an error such as too many open files.
const PAUSE: Duration = Duration::from_millis(20);
const REFUSING: usize = 64;
const REFUSAL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: text/plain\r\ncontent-length: 38\r\n\
    retry-after: 1\r\nconnection: close\r\n\r\nThe gateway has too many connections.\n";

/// Opens the socket of an address.
pub fn bind(listen: &str, reuse_port: bool) -> Result<TcpListener, Fault> {
    let address = address(listen)?;
    let socket = || -> io::Result<TcpListener> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        // So that a new gateway need not wait for the last connections of the former one.
        socket.set_reuse_address(true)?;
        socket.set_reuse_port(reuse_port)?;
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        TcpListener::from_std(socket.into())
    };
    socket().map_err(|error| {
        let hint = match error.kind() {
            io::ErrorKind::AddrInUse => "Another program listens there. Stop it, or choose another port.",
            io::ErrorKind::PermissionDenied => "Ports below 1024 need a privilege. Choose another port.",
            io::ErrorKind::AddrNotAvailable => "The address is none of this machine. Choose another one, or 0.0.0.0.",
            _ => "Choose another address.",
        };
        Fault::new(format!("cannot listen on {listen}: {error}"), hint)
    })
}

fn address(listen: &str) -> Result<SocketAddr, Fault> {
    let listen = if let Some(port) = listen.strip_prefix("*:") { format!("[::]:{port}") } else { listen.to_owned() };
    let fault = |error: &dyn std::fmt::Display| {
        Fault::new(
            format!("cannot listen on {listen}: {error}"),
            "Write an address and a port, for example 127.0.0.1:8480.",
        )
    };
    let mut addresses = listen.to_socket_addrs().map_err(|error| fault(&error))?;
    addresses.next().ok_or_else(|| fault(&"the name has no address"))
}

/// An open connection.
pub struct Open(Arc<Gateway>);

impl Open {
    /// Returns the number of connections with this one.
    pub fn new(gateway: &Arc<Gateway>) -> (Self, usize) {
        let count = gateway.open.fetch_add(1, Ordering::AcqRel) + 1;
        (Self(gateway.clone()), count)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if self.0.open.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.closed.notify_waiters();
        }
    }
}

/// Accepts connections until `stop` is told or dropped. Then it accepts those that already wait, and returns.
pub async fn accept(gateway: Arc<Gateway>, listener: TcpListener, mut stop: oneshot::Receiver<()>) {
    let refusing = Arc::new(AtomicUsize::new(0));
    loop {
        let accepted = tokio::select! {
            biased;
            accepted = listener.accept() => accepted,
            _ = &mut stop => return,
        };
        match accepted {
            Ok((stream, peer)) => begin(&gateway, stream, peer, &refusing),
            Err(_) => sleep(PAUSE).await,
        }
    }
}

fn begin(gateway: &Arc<Gateway>, stream: TcpStream, peer: SocketAddr, refusing: &Arc<AtomicUsize>) {
    let (open, count) = Open::new(gateway);
    let most = gateway.live().settings.max_clients;
    if count > most {
        // Nothing is read of it. A few are told why.
        if refusing.fetch_add(1, Ordering::Relaxed) < REFUSING {
            let refusing = refusing.clone();
            tokio::spawn(async move {
                let _ = timeout(Duration::from_secs(1), refuse(stream)).await;
                refusing.fetch_sub(1, Ordering::Relaxed);
            });
        } else {
            refusing.fetch_sub(1, Ordering::Relaxed);
        }
        return;
    }
    let crowded = count > most - most / 4;
    let patience = Patience { idle: if crowded { IDLE_WHEN_CROWDED } else { PATIENCE.idle }, ..PATIENCE };
    // Answers are written at once, whole.
    let _ = stream.set_nodelay(true);
    tokio::spawn(run(open, stream, peer.ip(), patience));
}

async fn refuse(mut stream: TcpStream) -> io::Result<()> {
    stream.write_all(REFUSAL).await?;
    stream.shutdown().await?;
    let mut rest = [0; 1024];
    while stream.read(&mut rest).await? > 0 {}
    Ok(())
}

async fn run(open: Open, stream: TcpStream, peer: IpAddr, patience: Patience) {
    let tls = open.0.live().tls.clone();
    match tls {
        None => talk(open, Guard::new(stream, patience), Peer { address: peer, tls: false }).await,
        Some(config) => {
            if let Ok(Ok(stream)) = timeout(HANDSHAKE, TlsAcceptor::from(config).accept(stream)).await {
                talk(open, Guard::new(Box::new(stream), patience), Peer { address: peer, tls: true }).await;
            }
        }
    }
}

/// Answers the requests of a connection.
async fn talk<S>(open: Open, mut guard: Guard<S>, peer: Peer)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut stage = open.0.stage.subscribe();
    let has_request = tokio::select! {
        has_request = guard.has_request() => has_request,
        _ = stage.wait_for(|stage| *stage == Stage::Closing) => false,
    };
    if !has_request {
        return;
    }
    let gateway = open.0.clone();
    // Boxed, so that a connection without a request does not have the memory of one.
    let service = service_fn(move |request| Box::pin(exchange::answer(gateway.clone(), peer, request)));
    let connection = http1::Builder::new()
        // A client may close its half of the connection after its last request.
        .half_close(true)
        // The guard knows both better.
        .header_read_timeout(None)
        .max_headers(LIMITS.headers + 1)
        .max_buf_size(BUFFER)
        .serve_connection(TokioIo::new(guard), service);
    let mut connection = std::pin::pin!(connection);
    // What fails is the connection, and nobody is there to be told.
    tokio::select! {
        _ = connection.as_mut() => return,
        _ = stage.wait_for(|stage| *stage == Stage::Closing) => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}

/// Returns the address that a listener has, which may have been chosen by the system.
pub fn address_of(listener: &TcpListener) -> String {
    listener.local_addr().map_or_else(|error| error.to_string(), |address| address.to_string())
}
