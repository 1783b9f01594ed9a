//! Turns any error into the message that is shown in the history.
//!
//! The messages are fixed texts. Messages of the libraries may quote data from the network, and a history that shows
//! exactly how an address answered can be used as a port scanner. So a message says what the owner of a receiver needs
//! to repair it, and no more.

use std::io::{self, ErrorKind};

use rustls::CertificateError;
use ureq::Error;
use wire::attempt::{ErrorClass, Failure};

use crate::destination::{LookupError, NoAddress};

/// Converts an error of ureq. `answering`: whether a part of the answer had arrived. `all_roots`: whether all
/// certificates that should be trusted could be loaded.
pub fn from_http(error: &Error, answering: bool, all_roots: bool) -> Failure {
    match error {
        Error::Io(error) => from_io(error, all_roots),
        Error::Timeout(_) if answering => {
            Failure::new(ErrorClass::Timeout, "time limit ran out while reading the answer")
        }
        Error::Timeout(_) => Failure::new(ErrorClass::Timeout, "time limit ran out before an answer came"),
        Error::Other(error) => from_resolver(error.downcast_ref()),
        Error::HostNotFound => Failure::new(ErrorClass::Dns, NoAddress::Lookup(LookupError::Unknown).to_string()),
        Error::Protocol(_) => Failure::new(ErrorClass::Protocol, "answer is not valid HTTP"),
        Error::LargeResponseHeader(..) => Failure::new(ErrorClass::Protocol, "header of the answer is too large"),
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
    let rustls::Error::InvalidCertificate(error) = error else {
        return "TLS handshake failed";
    };
    match error {
        CertificateError::UnknownIssuer => "certificate is not signed by an authority that is trusted",
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "certificate has expired",
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => "certificate is not valid yet",
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "certificate is for another host name"
        }
        _ => "certificate was refused",
    }
}
