//! TLS connections with rustls, over any transport.
//!
//! ureq has its own connector, but for a request with a separate time limit, which all of our requests have, it builds
//! the certificate store again for each connection. Here one configuration is made once and shared by all threads: the
//! certificates, which take a megabyte when parsed, and the sessions that can be resumed.
//!
//! Certificates are always verified, and there is no way to turn that off. The roots are those of the system, and those
//! of `ca_file` for receivers whose certificate was signed by a private authority.

use std::io::{Read, Write};
use std::path::Path;
use std::sync::Arc;
use std::{fmt, fs};

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use ureq::Error;
use ureq::unversioned::transport::time::Duration;
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, Either, LazyBuffers, NextTimeout, Transport, TransportAdapter,
};

use wire::refusal::Refusal;

use super::deadline::Limit;
use super::trace::Trace;

/// The authorities whose certificates are trusted. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Roots {
    config: Arc<ClientConfig>,
    /// The number of certificates. If it is 0, every https request is refused.
    pub count: usize,
    /// Why some certificates of `ca_file` are not trusted, each with its number in the file.
    pub problems: Vec<String>,
    complete: bool,
}

impl Roots {
    /// Reads the certificates of the system and those of `ca_file`. Certificates of the system that cannot be read are
    /// skipped, as every TLS client does. Of a `ca_file`, all certificates that can be read are used; it is refused if
    /// there is none.
    pub fn load(ca_file: Option<&Path>) -> Result<Self, Refusal> {
        let mut store = RootCertStore::empty();
        store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        let problems = ca_file.map(|path| add_file(&mut store, path)).transpose()?.unwrap_or_default();
        let count = store.len();
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| Refusal::new(error.to_string()))?;
        let config = Arc::new(builder.with_root_certificates(store).with_no_client_auth());
        let complete = count > 0 && problems.is_empty();
        Ok(Self { config, count, problems, complete })
    }

    /// Returns the same authorities, with the note that others are missing, because `ca_file` could not be used.
    pub fn incomplete(self) -> Self {
        Self { complete: false, ..self }
    }

    /// Whether all authorities that should be trusted are. Otherwise the authority of an endpoint may be unknown
    /// through no fault of the endpoint.
    pub fn is_complete(&self) -> bool {
        self.complete
    }
}

const BEGIN: &[u8] = b"-----BEGIN CERTIFICATE-----";

/// Adds the certificates of a file that can be read, at least one. Returns what is wrong with the others.
fn add_file(store: &mut RootCertStore, path: &Path) -> Result<Vec<String>, Refusal> {
    let unusable = |reason: &dyn fmt::Display| Refusal::new(format!("could not use \"{}\": {reason}", path.display()));
    let text = fs::read(path).map_err(|error| unusable(&error))?;
    let begins: Vec<usize> =
        text.windows(BEGIN.len()).enumerate().filter(|(_, window)| *window == BEGIN).map(|(at, _)| at).collect();
    let ends = begins.iter().skip(1).copied().chain([text.len()]);
    let mut problems = Vec::new();
    for (place, (begin, end)) in begins.iter().zip(ends).enumerate() {
        let added = CertificateDer::from_pem_slice(&text[*begin..end])
            .map_err(|_| "it is not complete, or not base64".to_owned())
            .and_then(|certificate| store.add(certificate).map_err(|error| error.to_string()));
        problems.extend(added.err().map(|problem| format!("certificate {} is not used: {problem}", place + 1)));
    }
    match begins.len() {
        0 => Err(unusable(&"it has no certificate in PEM form")),
        all if all == problems.len() => Err(unusable(&problems.join("; "))),
        _ => Ok(problems),
    }
}

/// Puts TLS over a connection if the URL is https.
#[derive(Debug)]
pub struct TlsConnector {
    pub roots: Roots,
    pub trace: Arc<Trace>,
}

impl<In: Transport> Connector<In> for TlsConnector {
    type Out = Either<In, TlsTransport<In>>;

    fn connect(&self, details: &ConnectionDetails, chained: Option<In>) -> Result<Option<Self::Out>, Error> {
        let Some(transport) = chained else {
            return Ok(None);
        };
        if !details.needs_tls() {
            return Ok(Some(Either::A(transport)));
        }
        let connection = ClientConnection::new(self.roots.config.clone(), server_name(details)?).map_err(tls_error)?;
        let adapter = TransportAdapter::new(transport, details.current_time.clone());
        let mut stream = StreamOwned::new(connection, adapter);
        stream.sock.set_timeout(left_of(details)?);
        stream.conn.complete_io(&mut stream.sock).map_err(|error| match self.trace.is_plain_http() {
            true => Error::Tls("receiver speaks plain HTTP on this port, not https"),
            false => error.into(),
        })?;
        let buffers = LazyBuffers::new(details.config.input_buffer_size(), details.config.output_buffer_size());
        Ok(Some(Either::B(TlsTransport { stream, buffers, trace: self.trace.clone() })))
    }
}

fn server_name(details: &ConnectionDetails) -> Result<ServerName<'static>, Error> {
    let host = details.uri.host().unwrap_or_default();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    ServerName::try_from(bare.to_owned()).map_err(|_| Error::Tls("host name cannot be verified"))
}

/// The part of the time limit that opening the TCP connection has not used.
fn left_of(details: &ConnectionDetails) -> Result<NextTimeout, Error> {
    let left = Limit::since(details.timeout, details.now).left()?;
    Ok(NextTimeout { after: Duration::Exact(left), ..details.timeout })
}

/// Wraps an error of rustls in an I/O error, as a stream does.
fn tls_error(error: rustls::Error) -> Error {
    std::io::Error::new(std::io::ErrorKind::InvalidData, error).into()
}

/// A connection under TLS.
pub struct TlsTransport<In: Transport> {
    stream: StreamOwned<ClientConnection, TransportAdapter<In>>,
    buffers: LazyBuffers,
    trace: Arc<Trace>,
}

impl<In: Transport> Transport for TlsTransport<In> {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        self.stream.sock.set_timeout(timeout);
        self.stream.write_all(&self.buffers.output()[..amount])?;
        Ok(())
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        self.stream.sock.set_timeout(timeout);
        let amount = self.stream.read(self.buffers.input_append_buf())?;
        self.buffers.input_appended(amount);
        if amount > 0 {
            self.trace.gets_answer();
        }
        Ok(amount > 0)
    }

    fn is_open(&mut self) -> bool {
        let state = self.stream.conn.process_new_packets();
        state.is_ok_and(|state| state.plaintext_bytes_to_read() == 0) && self.stream.sock.get_mut().is_open()
    }

    fn is_tls(&self) -> bool {
        true
    }
}

impl<In: Transport> fmt::Debug for TlsTransport<In> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsTransport").finish_non_exhaustive()
    }
}
