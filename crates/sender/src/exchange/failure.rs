//! From whatever went wrong to what people read in the history.
//!
//! The texts are fixed ones. Those of the libraries may quote what came over the network, and a history that tells
//! precisely how an address answered is a port scanner: so a text says what its owner needs to mend the receiver.

use std::io::{self, ErrorKind};

use rustls::CertificateError;
use ureq::Error;
use wire::attempt::{ErrorClass, Failure};

use crate::destination::{LookupError, NoAddress};

pub fn failure(class: ErrorClass, message: impl Into<String>) -> Failure {
    Failure { class, message: message.into() }
}

/// `answering` says whether something was answered before.
pub fn from_http(error: &Error, answering: bool) -> Failure {
    match error {
        Error::Io(error) => from_io(error),
        Error::Timeout(_) if answering => failure(ErrorClass::Timeout, "time limit ran out while reading the answer"),
        Error::Timeout(_) => failure(ErrorClass::Timeout, "time limit ran out before an answer came"),
        Error::Other(error) => from_resolver(error.downcast_ref()),
        Error::HostNotFound => failure(ErrorClass::Dns, NoAddress::Lookup(LookupError::Unknown).to_string()),
        Error::Protocol(_) => failure(ErrorClass::Protocol, "answer is not valid HTTP"),
        Error::LargeResponseHeader(..) => failure(ErrorClass::Protocol, "header of the answer is too large"),
        Error::Tls(message) => failure(ErrorClass::Tls, *message),
        _ => failure(ErrorClass::Internal, "request could not be made"),
    }
}

fn from_resolver(reason: Option<&NoAddress>) -> Failure {
    let Some(reason) = reason else {
        return failure(ErrorClass::Internal, "request could not be made");
    };
    let class = match reason {
        NoAddress::Refused => ErrorClass::Destination,
        NoAddress::Lookup(LookupError::Unknown) => ErrorClass::Dns,
        NoAddress::Lookup(LookupError::TimedOut) => ErrorClass::Timeout,
        NoAddress::Lookup(LookupError::NoThread) => ErrorClass::Internal,
    };
    failure(class, reason.to_string())
}

fn from_io(error: &io::Error) -> Failure {
    if let Some(error) = error.get_ref().and_then(|inner| inner.downcast_ref()) {
        return failure(ErrorClass::Tls, tls_message(error));
    }
    if is_out_of_descriptors(error) {
        return failure(ErrorClass::Internal, "out of file descriptors");
    }
    let message = match error.kind() {
        ErrorKind::ConnectionRefused => "connection refused",
        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => "connection reset by the receiver",
        ErrorKind::UnexpectedEof => "connection closed by the receiver before an answer came",
        ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => "receiver cannot be reached",
        ErrorKind::TimedOut => {
            return failure(ErrorClass::Timeout, "time limit ran out before an answer came");
        }
        _ => "connection failed",
    };
    failure(ErrorClass::Connection, message)
}

/// Not the receiver's fault, and not to be taken for it.
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
