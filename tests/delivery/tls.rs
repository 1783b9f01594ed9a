//! Endpoints behind TLS.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver as Inbox};
use std::thread;

use rustls::{ServerConfig, ServerConnection, StreamOwned};
use testkit::authority::Authority;
use testkit::{Bench, Cluster, PATIENCE, subscribe, wait_until, worker_status};

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

#[test]
fn a_ca_file_that_is_damaged_while_it_is_in_use_changes_nothing() {
    let (address, authority, inbox) = start_tls_receiver();
    let cluster = Cluster::start(&[]);
    let file = cluster.directory().join("authority.pem");
    std::fs::write(&file, &authority).expect("a file can be written into the directory of the cluster");
    cluster.set(&[("hydra_webhooks.ca_file", file.to_str().expect("a UTF-8 name"))]);
    let mut bench = Bench::new(&cluster, "damaged_ca");
    let more = ["retry_schedule => '{}'", "disable_after => 1"];
    let (id, _) = subscribe(&mut bench.client, &format!("https://{address}/in"), "ticket.created", &more);
    bench.emit_ticket(1);
    inbox.recv_timeout(PATIENCE).expect("it was received");

    let noise = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let mut sent = 1;
    for (text, detail) in [
        ("garbage".to_owned(), "ca_file"),
        (noise.repeat(2), "ca_file"),
        (authority[..authority.len() / 2].to_owned(), "ca_file"),
        (format!("{authority}{noise}"), "ca_file"),
        (authority.clone(), "events are sent"),
    ] {
        std::fs::write(&file, text).expect("it can be written again");
        bench.run("SELECT pg_reload_conf()");
        wait_until(format!("the status says {detail}"), PATIENCE, || {
            let said = worker_status(&mut bench.client, "detail");
            if detail == "ca_file" { said.contains(detail) } else { said == detail }
        });
        for _ in 0..5 {
            sent += 1;
            bench.emit_ticket(sent);
            inbox.recv_timeout(PATIENCE).expect("it was received");
        }
    }
    bench.wait_for_empty_queue();
    assert_eq!((bench.count("webhook_history"), bench.column(id, "status")), (0, "active".into()));
    assert!(cluster.log().contains("certificate 2 is not used"), "the log names the certificate");
}

#[test]
fn while_a_ca_file_cannot_be_used_from_the_start_its_endpoints_wait() {
    let (address, authority, inbox) = start_tls_receiver();
    let cluster = Cluster::start(&[("hydra_webhooks.ca_file", "/nonexistent/authority.pem")]);
    let mut bench = Bench::new(&cluster, "no_ca");
    let more = ["retry_schedule => '{}'", "disable_after => 1"];
    let (id, _) = subscribe(&mut bench.client, &format!("https://{address}/in"), "ticket.created", &more);
    bench.emit_ticket(1);
    wait_until("it waits", PATIENCE, || bench.column(id, "waiting_for").contains("authorities"));
    assert_eq!((bench.count("webhook_history"), bench.column(id, "status")), (0, "active".into()));

    // A file without end takes no memory.
    cluster.set(&[("hydra_webhooks.ca_file", "/dev/zero")]);
    wait_until("it says so", PATIENCE, || cluster.log().contains("/dev/zero\": it is not a regular file"));

    let file = cluster.directory().join("authority.pem");
    std::fs::write(&file, authority).expect("a file can be written into the directory of the cluster");
    cluster.set(&[("hydra_webhooks.ca_file", file.to_str().expect("a UTF-8 name"))]);
    inbox.recv_timeout(PATIENCE).expect("it was received");
    bench.wait_for_empty_queue();
    bench.wait_for_column(id, "waiting_for", "");
}
