//! Where messages are passed on to: a gateway, which needs no access to the database, or the database itself.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hyper::Uri;
use rustls::crypto::ring;
use tokio::task::{JoinHandle, spawn_blocking};
use ureq::Agent;
use ureq::tls::{Certificate, RootCerts, TlsConfig, TlsProvider};
use wire::token::is_well_formed;

use crate::admission;
use crate::call::{Call, Reply};
use crate::gateway::{Gateway, Live};
use crate::heartbeat::Heart;
use crate::log::Log;
use crate::options::Relay;
use crate::place::is_loopback_host;
use crate::problem::Problem;
use crate::route::Surface;
use crate::settings::{Fault, Given, Settings};

/// A request takes 12 s at most at a gateway.
const LIMIT: Duration = Duration::from_secs(30);
/// No answer is larger.
const LARGEST_ANSWER: u64 = 16 << 20;
/// To the database. A client asks one thing at a time, or a few.
const CONNECTIONS: usize = 2;

pub enum Destination {
    Gateway { agent: Agent, url: String, authorization: String },
    Database { gateway: Arc<Gateway>, key: String, query: Option<String>, heart: Arc<Heart>, beat: JoinHandle<()> },
}

impl Destination {
    pub fn new(options: &Relay, key: String) -> Result<Self, Fault> {
        if !is_well_formed(Surface::Mcp.token(), &key) {
            return Err(Fault::new(
                "HYDRA_API_KEY is not an API key",
                "It begins with hyk_ and is what hydra.api_key_create has returned.",
            ));
        }
        let query = query(&options.toolsets)?;
        match (options.url.as_str(), options.dsn.as_str()) {
            ("", "") => Err(Fault::new(
                "there is nowhere to pass messages on to",
                "Set --url to that of a gateway, or --dsn to the connection string of the database.",
            )),
            ("", dsn) => Self::database(dsn, key, query),
            (url, _) => Self::gateway(url, &key, query),
        }
    }

    fn gateway(url: &str, key: &str, query: Option<String>) -> Result<Self, Fault> {
        let fault = |error: &str, hint: &str| Fault::new(format!("the URL {url} {error}"), hint);
        let parsed: Uri = url.parse().map_err(|_| fault("is not one", "It is like https://hooks.example.com."))?;
        let is_local = parsed.host().is_some_and(|host| is_loopback_host(&host.to_ascii_lowercase()));
        match parsed.scheme_str() {
            Some("https") => {}
            Some("http") if is_local => {}
            _ => return Err(fault("is not one of https", "Others could read the key on its way. Use https.")),
        }
        let url = url.trim_end_matches('/');
        let url = if url.ends_with("/mcp") { url.to_owned() } else { format!("{url}/mcp") };
        let url = match query {
            Some(query) => format!("{url}?{query}"),
            None => url,
        };
        let trusted = rustls_native_certs::load_native_certs().certs;
        let trusted: Vec<_> = trusted.iter().map(|certificate| Certificate::from_der(certificate).to_owned()).collect();
        let tls = TlsConfig::builder()
            .provider(TlsProvider::Rustls)
            .unversioned_rustls_crypto_provider(Arc::new(ring::default_provider()))
            .root_certs(RootCerts::new_with_certs(&trusted))
            .build();
        let agent = Agent::config_builder()
            .tls_config(tls)
            .timeout_global(Some(LIMIT))
            .http_status_as_error(false)
            // The key is for this URL.
            .max_redirects(0)
            .user_agent(concat!("hydra-gateway/", env!("CARGO_PKG_VERSION")))
            .build();
        Ok(Self::Gateway { agent: agent.into(), url, authorization: format!("Bearer {key}") })
    }

    fn database(dsn: &str, key: String, query: Option<String>) -> Result<Self, Fault> {
        let given = Given { listen: "stdio".into(), dsn: dsn.to_owned(), connections: CONNECTIONS, ..Given::default() };
        let settings = Settings::check(&given)?;
        let live = Live::of(settings, ("stdio".into(), None), None)?;
        let gateway = Gateway::new(live, Log::start());
        let heart = Arc::new(Heart::new(gateway.clone()));
        let beating = heart.clone();
        let beat = tokio::spawn(async move { beating.beat().await });
        Ok(Self::Database { gateway, key, query, heart, beat })
    }

    /// Passes on a message. Returns the HTTP status and body of the answer, or why there is none.
    pub async fn send(
        &self,
        headers: Vec<(&'static str, String)>,
        message: Bytes,
    ) -> Result<(u16, Bytes), (u16, String)> {
        match self {
            Self::Gateway { agent, url, authorization } => {
                let mut request = agent
                    .post(url)
                    .header("Content-Type", "application/json")
                    .header("Accept", "application/json, text/event-stream")
                    .header("Authorization", authorization);
                for (name, value) in headers {
                    request = request.header(name, value);
                }
                let made = spawn_blocking(move || {
                    let mut response = request.send(&message[..])?;
                    let body = response.body_mut().with_config().limit(LARGEST_ANSWER).read_to_vec()?;
                    Ok::<_, ureq::Error>((response.status().as_u16(), Bytes::from(body)))
                });
                match made.await {
                    Ok(result) => result.map_err(|error| (502, format!("The gateway cannot be asked: {error}"))),
                    Err(_) => Err((500, "Something went wrong on this side.".into())),
                }
            }
            Self::Database { gateway, key, query, .. } => {
                match ask(gateway, key, query.clone(), headers, message).await {
                    Ok(reply) => Ok((reply.status, reply.body)),
                    Err(problem) => Ok((problem.status, problem.body("").to_string().into())),
                }
            }
        }
    }

    /// Reports to the database that this gateway ends.
    pub async fn end(&self) {
        if let Self::Database { heart, beat, gateway, .. } = self {
            beat.abort();
            heart.stop().await;
            gateway.log.flush();
        }
    }
}

/// Returns what the URL ends with, so that only tools of these toolsets are there.
fn query(toolsets: &str) -> Result<Option<String>, Fault> {
    let names: Vec<&str> = toolsets.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
    let is_name =
        |name: &&str| name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    match names.iter().find(|name| !is_name(name)) {
        Some(name) => Err(Fault::new(format!("{name} is no toolset"), "Set --toolsets to names such as support,crm.")),
        None => Ok((!names.is_empty()).then(|| format!("toolsets={}", names.join(",")))),
    }
}

async fn ask(
    gateway: &Gateway,
    key: &str,
    query: Option<String>,
    headers: Vec<(&'static str, String)>,
    message: Bytes,
) -> Result<Reply, Problem> {
    let credential = admission::credential(Some(key))?;
    let admitted = gateway.admit(credential)?;
    let content_type = ("content-type", "application/json".to_owned());
    let headers = headers.into_iter().chain([content_type]).map(|(name, value)| (name.to_owned(), value));
    let call = Call {
        surface: Surface::Mcp.name(),
        credential: Some(credential),
        method: "POST".into(),
        path: "/mcp".into(),
        query,
        headers: headers.collect(),
        body: message,
        peer: None,
    };
    let mut reply = gateway.ask(&call, admitted.purpose).await?;
    gateway.settle(admitted, &mut reply);
    Ok(reply)
}
