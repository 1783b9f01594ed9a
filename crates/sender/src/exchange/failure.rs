//! Turns any error into the message that is shown in the history.
//!
//! The messages are fixed texts. Messages of the libraries may quote data from the network, and a history that shows
//! exactly how an address answered can be used as a port scanner. So a message says what the owner of a receiver needs
//! to repair it, and no more.

use std::io::{self, ErrorKind};

use rustls::{AlertDescription, CertificateError};
use ureq::Error;
use wire::attempt::{ErrorClass, Failure};

use crate::destination::{LookupError, NoAddress};
use crate::transport::BadAnswer;

/// Converts an error of ureq. `answering`: whether a part of the answer had arrived. `all_roots`: whether all
/// certificates that should be trusted could be loaded.
pub fn from_http(error: &Error, answering: bool, all_roots: bool) -> Failure {
    match error {
        Error::Io(error) => from_io(error, all_roots),
        Error::Timeout(_) if answering => {
            Failure::new(ErrorClass::Timeout, "time limit ran out while reading the answer")
        }
        Error::Timeout(_) => Failure::new(ErrorClass::Timeout, "time limit ran out before an answer came"),
        Error::Other(error) => match error.downcast_ref::<BadAnswer>() {
            Some(reason) => Failure::new(ErrorClass::Protocol, reason.to_string()),
            None => from_resolver(error.downcast_ref()),
        },
        Error::HostNotFound => Failure::new(ErrorClass::Dns, NoAddress::Lookup(LookupError::Unknown).to_string()),
        Error::Protocol(ureq_proto::Error::OutputOverflow) => {
            Failure::new(ErrorClass::Internal, "a header of the request is too large")
        }
        Error::Protocol(_) => Failure::new(ErrorClass::Protocol, BadAnswer::NotHttp.to_string()),
        Error::Tls(message) => Failure::new(ErrorClass::Tls, *message),
        _ => Failure::new(ErrorClass::Internal, "request could not be made"),
    }
}

fn from_resolver(reason: Option<&NoAddress>) -> Failure {
    let Some(reason) = reason else {
        return Failure::new(ErrorClass::Internal, "request could not be made");
    };
    let class = match reason {
        NoAddress::Refused => ErrorClass::Destination,
        NoAddress::Lookup(LookupError::Unknown) => ErrorClass::Dns,
        NoAddress::Lookup(LookupError::Unanswered | LookupError::TimedOut) => ErrorClass::Resolver,
        NoAddress::Lookup(LookupError::NoThread) => ErrorClass::Internal,
    };
    Failure::new(class, reason.to_string())
}

fn from_io(error: &io::Error, all_roots: bool) -> Failure {
    if let Some(error) = error.get_ref().and_then(|inner| inner.downcast_ref()) {
        if !all_roots && matches!(error, rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer)) {
            return Failure::new(
                ErrorClass::Internal,
                "certificate cannot be verified: not all authorities could be loaded",
            );
        }
        return Failure::new(ErrorClass::Tls, tls_message(error));
    }
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
