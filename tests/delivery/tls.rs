//! Endpoints behind TLS.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver as Inbox};
use std::thread;

use rustls::{ServerConfig, ServerConnection, StreamOwned};
use testkit::authority::Authority;
use testkit::{PATIENCE, subscribe, wait_until};

use crate::{bench, cluster};

/// Receives requests over TLS, with a certificate of its own authority, and passes on what it read.
fn start_tls_receiver() -> (SocketAddr, String, Inbox<String>) {
    let authority = Authority::new();
    let config = authority.server();
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    let address = listener.local_addr().expect("it is bound");
    let (send, inbox) = mpsc::channel();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (config, send) = (config.clone(), send.clone());
            // A client that does not trust the certificate closes during the handshake.
            thread::spawn(move || serve_tls(stream, config).map(|request| send.send(request)));
        }
    });
    (address, authority.pem(), inbox)
}

/// Reads one request and accepts it.
fn serve_tls(stream: TcpStream, config: Arc<ServerConfig>) -> Option<String> {
    let mut stream = StreamOwned::new(ServerConnection::new(config).ok()?, stream);
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    while !request.ends_with(b"\"}") {
        match stream.read(&mut buffer).ok()? {
            0 => return None,
            length => request.extend_from_slice(&buffer[..length]),
        }
    }
    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").ok()?;
    String::from_utf8(request).ok()
}

#[test]
fn an_https_endpoint_is_trusted_once_its_authority_is_in_ca_file() {
    let mut bench = bench("tls");
    let (address, authority, inbox) = start_tls_receiver();
    let more = ["retry_schedule => '{}'"];
    subscribe(&mut bench.client, &format!("https://{address}/in"), "ticket.created", &more);
    bench.emit_ticket(1);
    let delivery = bench.wait_for_failed_delivery();
    let attempts = bench.history();
    assert_eq!((attempts[0].status, attempts[0].class.as_deref()), (None, Some("tls")));
    assert!(attempts[0].error.as_ref().is_some_and(|error| error.contains("authority")), "{attempts:?}");

    let file = cluster().directory().join("authority.pem");
    std::fs::write(&file, authority).expect("a file can be written into the directory of the cluster");
    cluster().set(&[("hydra_webhooks.ca_file", file.to_str().expect("a UTF-8 name"))]);
    // Until the dispatcher has applied the setting, an attempt fails as before.
    wait_until("the endpoint is trusted", PATIENCE, || {
        if bench.count("webhook_failed") == 1 {
            bench.run(&format!("SELECT hydra.webhook_retry('{delivery}')"));
        }
        bench.wait_for_empty_queue();
        bench.count("webhook_failed") == 0
    });
    let request = inbox.recv_timeout(PATIENCE).expect("it was received");
    assert!(request.starts_with("POST /in HTTP/1.1\r\n") && request.contains(&delivery), "{request}");
}
