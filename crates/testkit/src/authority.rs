//! A certificate authority, so that tests use TLS as users do: with certificates that are verified.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{RootCertStore, ServerConfig};

const LOOPBACK: &str = "127.0.0.1";

pub struct Authority {
    certificate: rcgen::Certificate,
    issuer: Issuer<'static, KeyPair>,
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a certificate");
        Self { certificate, issuer: Issuer::new(params, key) }
    }

    /// Returns the content of a file for `hydra_webhooks.ca_file`.
    pub fn pem(&self) -> String {
        self.certificate.pem()
    }

    /// Returns the root certificates of a client that trusts only this authority.
    pub fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.der().clone()).expect("a certificate that was just made");
        roots
    }

    /// Returns the configuration of a receiver on loopback.
    pub fn server(&self) -> Arc<ServerConfig> {
        self.server_named(LOOPBACK)
    }

    /// Returns the configuration of a receiver whose certificate has this host name or address.
    pub fn server_named(&self, name: &str) -> Arc<ServerConfig> {
        self.server_of(certificate_for(name))
    }

    /// Returns the configuration of a receiver whose certificate has these parameters.
    pub fn server_of(&self, certificate: CertificateParams) -> Arc<ServerConfig> {
        self.configure(certificate, WebPkiClientVerifier::no_client_auth())
    }

    /// Returns the configuration of a receiver on loopback that requires a certificate of its clients.
    pub fn server_that_asks(&self) -> Arc<ServerConfig> {
        let roots = Arc::new(self.roots());
        let provider = Arc::new(ring::default_provider());
        let clients = WebPkiClientVerifier::builder_with_provider(roots, provider).build();
        self.configure(certificate_for(LOOPBACK), clients.expect("an authority to trust"))
    }

    fn configure(&self, certificate: CertificateParams, clients: Arc<dyn ClientCertVerifier>) -> Arc<ServerConfig> {
        let key = KeyPair::generate().expect("a key");
        let certificate = certificate.signed_by(&key, &self.issuer).expect("a certificate");
        let chain: Vec<CertificateDer> = vec![certificate.der().clone()];
        let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
        let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let builder = builder.with_safe_default_protocol_versions().expect("versions");
        Arc::new(builder.with_client_cert_verifier(clients).with_single_cert(chain, key).expect("a key that fits"))
    }
}

/// Returns the parameters of a certificate for this host name or address.
pub fn certificate_for(name: &str) -> CertificateParams {
    CertificateParams::new(vec![name.to_owned()]).expect("a host name or an address")
}
