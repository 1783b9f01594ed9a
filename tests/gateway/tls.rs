//! TLS on both sides of a gateway.

use std::io::{BufReader, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use testkit::gateway::{Answer, Gateway, login};
use testkit::{Bench, PATIENCE, wait_until};

use crate::{cluster, create_key};

/// Writes a certificate for loopback and its key, and returns the certificate.
fn write_certificate(directory: &Path) -> CertificateDer<'static> {
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = testkit::authority::certificate_for("127.0.0.1").self_signed(&key).unwrap();
    // The key first: a reload between the two finds a pair that does not fit, and keeps the former one.
    std::fs::write(directory.join("gateway.key"), key.serialize_pem()).unwrap();
    std::fs::write(directory.join("gateway.crt"), certificate.pem()).unwrap();
    certificate.der().clone()
}

fn me(address: &str, trusted: &CertificateDer<'static>, key: &str) -> std::io::Result<Answer> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().unwrap();
    let config = builder.with_root_certificates(roots).with_no_client_auth();
    let connection = ClientConnection::new(Arc::new(config), "127.0.0.1".try_into().unwrap()).unwrap();
    let mut stream = StreamOwned::new(connection, TcpStream::connect(address)?);
    write!(stream, "GET /api/v1/me HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {key}\r\n\r\n")?;
    Answer::read(&mut BufReader::new(stream))
}

#[test]
fn a_gateway_speaks_tls_and_takes_a_new_certificate_without_a_pause() {
    let mut bench = Bench::new(cluster(), "tls");
    let key = create_key(&mut bench.client, "role => 'app', requests_per_minute => 1000000");
    let directory = cluster().directory().join("tls");
    std::fs::create_dir(&directory).unwrap();
    let first = write_certificate(&directory);
    let path = |name: &str| directory.join(name).to_str().unwrap().to_owned();
    let files = ["--tls-certificate".to_owned(), path("gateway.crt"), "--tls-key".to_owned(), path("gateway.key")];
    let files: Vec<&str> = files.iter().map(String::as_str).collect();
    let mut gateway = Gateway::start_for(&login(cluster(), &bench.database), &files);
    wait_until("it has a connection to its database", PATIENCE, || {
        me(&gateway.address, &first, &key).unwrap().status == 200
    });
    assert!(gateway.connect().try_request("GET", "/healthz", &[], b"").is_err(), "plain HTTP on a port with TLS");

    let second = write_certificate(&directory);
    gateway.signal("HUP");
    wait_until("the new certificate is shown", PATIENCE, || {
        // Whoever trusts only one of them is refused by the other, and nobody finds the port closed.
        match me(&gateway.address, &second, &key) {
            Ok(answer) => answer.status == 200,
            Err(error) => {
                assert_ne!(error.kind(), std::io::ErrorKind::ConnectionRefused);
                false
            }
        }
    });
    std::fs::write(directory.join("gateway.key"), "no key").unwrap();
    gateway.signal("HUP");
    gateway.wait_for("it says what is wrong", |gateway| {
        gateway.lines().iter().any(|line| line.contains("gateway.key") && line.contains("hint"))
    });
    assert_eq!(me(&gateway.address, &second, &key).unwrap().status, 200);
}
