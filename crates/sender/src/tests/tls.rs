use std::io::Write;
use std::net::TcpStream;
use std::path::PathBuf;

use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::receiver::{OK, Receiver, read_request};
use super::*;

type TlsStream = StreamOwned<ServerConnection, TcpStream>;

/// A private authority, with its certificate in a file.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    file: PathBuf,
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let file = std::env::temp_dir().join(format!("hydra-{name}-{}.pem", std::process::id()));
        std::fs::write(&file, certificate.pem()).unwrap();
        Self { issuer: Issuer::new(params, key), file }
    }

    /// A receiver with a certificate of this authority.
    fn certify(&self, name: &str) -> Receiver {
        self.certify_with(CertificateParams::new(vec![name.to_owned()]).unwrap())
    }

    /// The same, with these parameters of the certificate.
    fn certify_with(&self, params: CertificateParams) -> Receiver {
        self.serve_with(
            params,
            |stream| {
                while read_request(stream).is_some() && stream.write_all(OK.as_bytes()).is_ok() {}
            },
        )
    }

    /// A receiver that serves each connection with the script.
    fn serve(&self, script: impl Fn(&mut TlsStream) + Send + Sync + 'static) -> Receiver {
        self.serve_with(CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap(), script)
    }

    fn serve_with(
        &self,
        params: CertificateParams,
        script: impl Fn(&mut TlsStream) + Send + Sync + 'static,
    ) -> Receiver {
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let chain: Vec<CertificateDer> = vec![certificate.der().clone()];
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let builder = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
        let builder = builder.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
        let config = Arc::new(builder.with_single_cert(chain, key).unwrap());
        Receiver::serving(move |_, stream| {
            // Otherwise an answer may wait for the acknowledgement of the handshake, and be lost when this side closes.
            stream.set_nodelay(true).unwrap();
            let connection = ServerConnection::new(config.clone()).unwrap();
            script(&mut StreamOwned::new(connection, stream));
        })
    }

    fn roots(&self) -> Roots {
        Roots::load(Some(&self.file)).unwrap()
    }
}

impl Drop for Authority {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.file);
    }
}

fn https(receiver: &Receiver) -> Endpoint {
    endpoint(format!("https://127.0.0.1:{}/", receiver.port()))
}

#[test]
fn a_certificate_of_an_authority_in_ca_file_is_trusted_and_the_connection_is_used_again() {
    let authority = Authority::new("trusted");
    let receiver = authority.certify("127.0.0.1");
    let owner = Owner::with(loopback_policy(), authority.roots());
    for _ in 0..10 {
        assert_eq!(owner.status_of(https(&receiver)), 200);
    }
    assert_eq!(receiver.connections(), 1);
}

#[test]
fn a_certificate_of_an_unknown_authority_is_refused() {
    let receiver = Authority::new("unknown").certify("127.0.0.1");
    let failure = Owner::allowing_loopback().failure_of(https(&receiver));
    assert_eq!(failure.class, ErrorClass::Tls);
    assert_eq!(failure.message, "certificate is not signed by an authority that is trusted");
}

#[test]
fn a_certificate_for_another_name_is_refused() {
    let authority = Authority::new("other-name");
    let receiver = authority.certify("receiver.example");
    let failure = Owner::with(loopback_policy(), authority.roots()).failure_of(https(&receiver));
    assert_eq!((failure.class, &*failure.message), (ErrorClass::Tls, "certificate is for another host name"));
}

#[test]
fn new_roots_apply_to_the_next_request() {
    let authority = Authority::new("new-roots");
    let receiver = authority.certify("127.0.0.1");
    let owner = Owner::allowing_loopback();
    assert_eq!(owner.failure_of(https(&receiver)).class, ErrorClass::Tls);
    owner.sender.set_roots(authority.roots());
    assert_eq!(owner.status_of(https(&receiver)), 200);
}

#[test]
fn a_receiver_without_tls_fails_the_handshake() {
    let receiver = Receiver::serving(|_, mut stream| {
        let _ = stream.write_all(b"SSH-2.0-OpenSSH_9.9\r\n");
        let _ = std::io::Read::read(&mut stream, &mut [0; 1024]);
    });
    let failure = Owner::allowing_loopback().failure_of(https(&receiver));
    assert_eq!((failure.class, &*failure.message), (ErrorClass::Tls, "receiver does not speak TLS"));
}

#[test]
fn plain_http_on_an_https_port_is_reported_as_such() {
    let receiver = Receiver::serving(|_, mut stream| {
        let _ = std::io::Read::read(&mut stream, &mut [0; 1024]);
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
    });
    let failure = Owner::allowing_loopback().failure_of(https(&receiver));
    let expected = "receiver speaks plain HTTP on this port, not https";
    assert_eq!((failure.class, &*failure.message), (ErrorClass::Tls, expected));
}

#[test]
fn what_is_wrong_with_a_certificate_is_reported() {
    let authority = Authority::new("reasons");
    let here = || CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let mut expired = here();
    (expired.not_before, expired.not_after) = (date_time_ymd(2001, 1, 1), date_time_ymd(2002, 1, 1));
    let mut early = here();
    (early.not_before, early.not_after) = (date_time_ymd(2098, 1, 1), date_time_ymd(2099, 1, 1));
    let mut of_authority = here();
    of_authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let mut for_clients = here();
    for_clients.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let nameless = CertificateParams::new(Vec::new()).unwrap();
    let cases = [
        (expired, "certificate has expired"),
        (early, "certificate is not valid yet"),
        (of_authority, "certificate is an authority's, not a server's: make it with basicConstraints=CA:FALSE"),
        (for_clients, "certificate is not for servers: its extendedKeyUsage has no serverAuth"),
        (nameless, "certificate has no subjectAltName"),
    ];
    let owner = Owner::with(loopback_policy(), authority.roots());
    for (params, expected) in cases {
        let failure = owner.failure_of(https(&authority.certify_with(params)));
        assert_eq!((failure.class, &*failure.message), (ErrorClass::Tls, expected));
    }
}

#[test]
fn an_answer_under_tls_that_comes_before_the_body_was_read_decides() {
    let authority = Authority::new("early");
    let receiver = authority.serve(|stream| {
        let _ = std::io::Read::read_exact(stream, &mut [0; 100]);
        let _ = stream.write_all(b"HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n");
        let _ = stream.flush();
    });
    let owner = Owner::with(loopback_policy(), authority.roots());
    let body = "0123456789abcdef".repeat(1 << 19).into();
    owner.sender.hand_over([Request { body, ..request(https(&receiver)) }]);
    match owner.next().outcome {
        Outcome::Answered(answer) => assert_eq!(answer.status, 410),
        other => panic!("{other:?}"),
    }
    assert_eq!(receiver.connections(), 1);
}

#[test]
fn bytes_after_the_end_of_tls_stop_no_other_request() {
    let authority = Authority::new("after-the-end");
    let ending = authority.serve(|stream| {
        let _ = read_request(stream);
        stream.conn.send_close_notify();
        let mut bytes = Vec::new();
        stream.conn.write_tls(&mut bytes).unwrap();
        // More than is decrypted at a time, in one segment with the end.
        bytes.extend([b'x'; 8192]);
        let _ = stream.sock.write_all(&bytes);
        while std::io::Read::read(&mut stream.sock, &mut [0; 1024]).is_ok_and(|amount| amount > 0) {}
    });
    let healthy = Receiver::answering(OK);
    let owner = Owner::with(loopback_policy(), authority.roots());
    for _ in 0..3 {
        let failure = owner.failure_of(https(&ending));
        assert_eq!(failure.class, ErrorClass::Connection);
        assert_eq!(failure.message, "connection closed by the receiver before an answer came");
        assert_eq!(owner.status_of(endpoint(healthy.url())), 200);
    }
}

/// The TCP connection stays open, so nothing more is reported.
#[test]
fn an_end_of_tls_that_comes_with_the_handshake_ends_the_attempt() {
    let authority = Authority::new("at-once");
    let receiver = authority.serve(|stream| {
        let TlsStream { conn, sock } = stream;
        while conn.is_handshaking() && !conn.wants_write() {
            conn.read_tls(sock).unwrap();
            conn.process_new_packets().unwrap();
        }
        conn.send_close_notify();
        let mut bytes = Vec::new();
        while conn.wants_write() {
            conn.write_tls(&mut bytes).unwrap();
        }
        let _ = sock.write_all(&bytes);
        while std::io::Read::read(sock, &mut [0; 1024]).is_ok_and(|amount| amount > 0) {}
    });
    let failure = Owner::with(loopback_policy(), authority.roots()).failure_of(https(&receiver));
    assert_eq!(failure.class, ErrorClass::Connection);
    assert_eq!(failure.message, "connection closed by the receiver before an answer came");
}

#[test]
fn the_time_limit_covers_the_handshake() {
    let receiver = Receiver::silent();
    let failure =
        Owner::allowing_loopback().failure_of(Endpoint { timeout: Duration::from_millis(200), ..https(&receiver) });
    assert_eq!(failure.class, ErrorClass::Timeout);
}

#[test]
fn a_ca_file_that_cannot_be_used_is_an_error() {
    assert!(Roots::load(Some("/nonexistent/ca.pem".as_ref())).is_err());
    let empty = std::env::temp_dir().join(format!("hydra-empty-{}.pem", std::process::id()));
    std::fs::write(&empty, "no certificate").unwrap();
    let error = Roots::load(Some(&empty)).unwrap_err();
    std::fs::remove_file(&empty).unwrap();
    assert!(error.to_string().ends_with("it has no certificate in PEM form"), "{error}");
}

#[test]
fn of_a_ca_file_what_can_be_read_is_trusted_and_the_rest_is_named_by_its_number() {
    let authority = Authority::new("damaged");
    let receiver = authority.certify("127.0.0.1");
    let good = std::fs::read_to_string(&authority.file).unwrap();
    let damaged = "-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n";
    let noise = "-----BEGIN CERTIFICATE-----\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n-----END CERTIFICATE-----\n";
    let cut_short = &good[..good.len() / 2];
    let file = std::env::temp_dir().join(format!("hydra-damaged-{}.pem", std::process::id()));
    for (text, numbers) in [
        (format!("{good}{noise}"), &[2][..]),
        (format!("{noise}{good}"), &[1]),
        (format!("{damaged}some text\n{good}{cut_short}"), &[1, 3]),
        (format!("{}\r\n", good.replace('\n', "\r\n")), &[]),
    ] {
        std::fs::write(&file, text).unwrap();
        let roots = Roots::load(Some(&file)).unwrap();
        let named: Vec<String> = numbers.iter().map(|number| format!("certificate {number} is not used")).collect();
        assert!(roots.problems.len() == named.len(), "{:?}", roots.problems);
        assert!(
            roots.problems.iter().zip(&named).all(|(problem, name)| problem.starts_with(name)),
            "{:?}",
            roots.problems
        );
        assert_eq!(roots.is_complete(), numbers.is_empty());
        assert_eq!(Owner::with(loopback_policy(), roots).status_of(https(&receiver)), 200);
    }
    for text in [noise, damaged, cut_short] {
        std::fs::write(&file, text).unwrap();
        assert!(Roots::load(Some(&file)).is_err(), "{text}");
    }
    std::fs::remove_file(&file).unwrap();
}

#[test]
fn an_unknown_authority_is_no_fault_of_the_endpoint_while_authorities_are_missing() {
    let authority = Authority::new("missing");
    let receiver = authority.certify("127.0.0.1");
    let roots = Roots::load(None).unwrap().incomplete();
    let failure = Owner::with(loopback_policy(), roots).failure_of(https(&receiver));
    assert!(failure.class.is_ours(), "{failure:?}");
}
