//! An authority of our own, so that TLS is tried as it is used: with certificates that are verified.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{RootCertStore, ServerConfig};

pub struct Authority {
    certificate: rcgen::Certificate,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a certificate");
        Self { certificate, issuer: Issuer::new(params, key) }
    }

    /// What `hydra_webhooks.ca_file` is to hold.
    pub fn pem(&self) -> String {
        self.certificate.pem()
    }

    /// For whoever trusts this one alone.
    pub fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.der().clone()).expect("our own certificate");
        roots
    }

    /// For a receiver on loopback.
    pub fn server(&self) -> Arc<ServerConfig> {
        self.server_of(loopback())
    }

    /// For a receiver with such a certificate.
    pub fn server_of(&self, certificate: CertificateParams) -> Arc<ServerConfig> {
        self.configure(certificate, WebPkiClientVerifier::no_client_auth())
    }

    /// For a receiver on loopback that wants its clients to have a certificate.
    pub fn server_that_asks(&self) -> Arc<ServerConfig> {
        let roots = Arc::new(self.roots());
        let provider = Arc::new(ring::default_provider());
        let clients = WebPkiClientVerifier::builder_with_provider(roots, provider).build();
        self.configure(loopback(), clients.expect("an authority to trust"))
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

fn loopback() -> CertificateParams {
    CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("an address is a name")
}
