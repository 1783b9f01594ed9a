//! The authorities whose certificates are trusted.
//!
//! One configuration is made once and shared by all connections: the certificates, which take a megabyte when parsed,
//! and the sessions that can be resumed.
//!
//! Certificates are always verified, and there is no way to turn that off. The roots are those of the system, and those
//! of `ca_file` for receivers whose certificate was signed by a private authority.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use wire::refusal::Refusal;

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

    /// The configuration of connections that trust these authorities.
    pub(crate) fn config(&self) -> Arc<ClientConfig> {
        self.config.clone()
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
    let text = files::read(path).map_err(|error| unusable(&error))?;
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
