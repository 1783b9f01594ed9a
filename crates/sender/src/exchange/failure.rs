//! Turns any error into the message that is shown in the history.
//!
//! The messages are fixed texts. Messages of the libraries may quote data from the network, and a history that shows
//! exactly how an address answered can be used as a port scanner. So a message says what the owner of a receiver needs
//! to repair it, and no more. An address is named only if no request is made to it.

use std::io::{self, ErrorKind};

use rustls::{AlertDescription, CertificateError};
use wire::attempt::{ErrorClass, Failure};

use super::head::BadAnswer;
use crate::destination::{LookupError, NoAddress};

/// Why no answer came.
#[derive(Debug)]
pub enum Trouble {
    NoAddress(NoAddress),
    Io(io::Error),
    Tls(rustls::Error),
    /// The receiver answered a TLS handshake in plain HTTP.
    PlainHttp,
    BadAnswer(BadAnswer),
    TimedOut,
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Trouble::Io(error)
    }
}

impl Trouble {
    /// Whether the receiver closed the connection.
    pub fn is_hang_up(&self) -> bool {
        use ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
        let Trouble::Io(error) = self else {
            return false;
        };
        matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof)
    }

    /// Converts it. `answering`: whether a part of the answer had arrived. `all_roots`: whether all certificates that
    /// should be trusted could be loaded.
    pub fn failure(&self, answering: bool, all_roots: bool) -> Failure {
        match self {
            Trouble::NoAddress(reason) => Failure::new(class_of(*reason), reason.to_string()),
            Trouble::Io(error) => from_io(error),
            Trouble::Tls(rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer)) if !all_roots => {
                Failure::new(
                    ErrorClass::Internal,
                    "certificate cannot be verified: not all authorities could be loaded",
                )
            }
            Trouble::Tls(error) => Failure::new(ErrorClass::Tls, tls_message(error)),
            Trouble::PlainHttp => Failure::new(ErrorClass::Tls, "receiver speaks plain HTTP on this port, not https"),
            Trouble::BadAnswer(reason) => Failure::new(ErrorClass::Protocol, reason.to_string()),
            Trouble::TimedOut if answering => {
                Failure::new(ErrorClass::Timeout, "time limit ran out while reading the answer")
            }
            Trouble::TimedOut => Failure::new(ErrorClass::Timeout, "time limit ran out before an answer came"),
        }
    }
}

fn class_of(reason: NoAddress) -> ErrorClass {
    match reason {
        NoAddress::Refused(..) => ErrorClass::Destination,
        NoAddress::Lookup(LookupError::Unknown) => ErrorClass::Dns,
        NoAddress::Lookup(LookupError::Unanswered | LookupError::TimedOut) => ErrorClass::Resolver,
        NoAddress::Lookup(LookupError::NoThread) => ErrorClass::Internal,
    }
}

fn from_io(error: &io::Error) -> Failure {
    if is_out_of_descriptors(error) {
        return Failure::new(ErrorClass::Internal, "out of file descriptors");
    }
    let message = match error.kind() {
        ErrorKind::ConnectionRefused => "connection refused",
        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => "connection reset by the receiver",
        ErrorKind::UnexpectedEof => "connection closed by the receiver before an answer came",
        ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => "receiver cannot be reached",
        ErrorKind::TimedOut => {
            return Failure::new(ErrorClass::Timeout, "time limit ran out before an answer came");
        }
        _ => "connection failed",
    };
    Failure::new(ErrorClass::Connection, message)
}

/// Whether this process or the system has no free file descriptor. The receiver did not cause this, so it is reported
/// as an internal error.
fn is_out_of_descriptors(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE))
}

fn tls_message(error: &rustls::Error) -> &'static str {
    use rustls::Error::{AlertReceived, InvalidCertificate, InvalidMessage, PeerIncompatible};
    match error {
        InvalidCertificate(error) => certificate_message(error),
        InvalidMessage(_) => "receiver does not speak TLS",
        AlertReceived(AlertDescription::CertificateRequired) => "receiver demands a certificate of the client",
        AlertReceived(AlertDescription::ProtocolVersion | AlertDescription::HandshakeFailure) | PeerIncompatible(_) => {
            "receiver has no TLS version or cipher that is supported"
        }
        AlertReceived(AlertDescription::UnrecognisedName) => "receiver does not know the host name",
        _ => "TLS handshake failed",
    }
}

/// Says what the owner of the receiver has to change in the certificate.
fn certificate_message(error: &CertificateError) -> &'static str {
    match error {
        CertificateError::UnknownIssuer => "certificate is not signed by an authority that is trusted",
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "certificate has expired",
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => "certificate is not valid yet",
        CertificateError::NotValidForNameContext { presented, .. } if presented.is_empty() => NO_NAME,
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "certificate is for another host name"
        }
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "certificate is not for servers: its extendedKeyUsage has no serverAuth"
        }
        CertificateError::UnsupportedSignatureAlgorithmContext { .. }
        | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
            "certificate uses an algorithm that is not supported"
        }
        CertificateError::BadSignature => "certificate has an invalid signature",
        CertificateError::BadEncoding => "certificate cannot be read",
        CertificateError::Other(error) => other_certificate_message(error.0.downcast_ref()),
        _ => "certificate was refused",
    }
}

const NO_NAME: &str = "certificate has no subjectAltName";

fn other_certificate_message(error: Option<&webpki::Error>) -> &'static str {
    match error {
        Some(webpki::Error::CaUsedAsEndEntity) => {
            "certificate is an authority's, not a server's: make it with basicConstraints=CA:FALSE"
        }
        // The first version of certificates has no extensions, and subjectAltName is one.
        Some(webpki::Error::UnsupportedCertVersion) => NO_NAME,
        Some(webpki::Error::EndEntityUsedAsCa) => "certificate is signed with a certificate that is not an authority's",
        _ => "certificate was refused",
    }
}
