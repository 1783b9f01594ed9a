//! The command line.

use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::settings::Given;
use crate::units;

/// Answers HTTP requests for Hydra Webhooks: the settings pages, inbound adapters, the REST API and MCP. Takes mail by LMTP.
///
/// Each request becomes one call of hydra.serve in the database, in one transaction, and its result becomes the answer.
/// The gateway has no authority and keeps no secret, so any number of them can run, on any machines, behind any load
/// balancer, and behind pgbouncer in transaction mode.
///
/// The role that it logs in as needs to be a member of hydra_gateway, and of nothing else:
///
///     CREATE ROLE gateway LOGIN PASSWORD '…' IN ROLE hydra_gateway;
///
/// SIGTERM ends it after the requests under way are answered. SIGHUP reads the certificate again.
#[derive(Parser, Debug)]
#[command(name = "hydra-gateway", version, max_term_width = 100, verbatim_doc_comment)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Options {
    #[command(subcommand)]
    pub command: Option<Command>,

    /// Where to listen. Use a loopback address unless there is a certificate or a proxy with one
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8480", env = "HYDRA_LISTEN")]
    pub listen: String,

    /// Where to take mail by LMTP, for example 127.0.0.1:8424. Whoever can connect is believed to be a mail server
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "", hide_default_value = true, env = "HYDRA_LMTP_LISTEN")]
    pub lmtp_listen: String,

    /// Connection string of the database, as for psql. In the environment it is not seen in lists of processes
    #[arg(
        long,
        value_name = "STRING",
        default_value = "",
        hide_default_value = true,
        env = "HYDRA_DSN",
        hide_env_values = true
    )]
    pub dsn: String,

    /// How clients reach it. Requests for another host are refused
    #[arg(long, value_name = "URL", default_value = "", hide_default_value = true, env = "HYDRA_PUBLIC_URL")]
    pub public_url: String,

    /// Connections to the database
    #[arg(long, value_name = "NUMBER", default_value_t = 8)]
    pub connections: usize,

    /// The largest body of a request (B, kB, MB)
    #[arg(long, value_name = "SIZE", default_value = "1MB", value_parser = units::size)]
    pub max_request: usize,

    /// The largest message of mail (B, kB, MB)
    #[arg(long, value_name = "SIZE", default_value = "25MB", value_parser = units::size)]
    pub max_mail: usize,

    /// How long a body may take to arrive, and then the database to answer (ms, s, min)
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = units::duration)]
    pub request_timeout: Duration,

    /// Connections of clients. Those that are idle cost little; 512 requests at a time are answered
    #[arg(long, value_name = "NUMBER", default_value_t = 12_000)]
    pub max_clients: usize,

    /// Networks of proxies whose X-Forwarded-For and X-Forwarded-Proto are believed, for example 10.0.0.0/8,::1
    #[arg(long, value_name = "NETWORKS", default_value = "", hide_default_value = true)]
    pub trusted_proxies: String,

    /// File in PEM format with the certificate and those between it and its authority
    #[arg(long, value_name = "FILE", default_value = "", hide_default_value = true)]
    pub tls_certificate: String,

    /// File in PEM format with the private key of the certificate
    #[arg(long, value_name = "FILE", default_value = "", hide_default_value = true)]
    pub tls_key: String,

    /// Lets another gateway of the same user listen on the same port, to replace this one without a refused connection
    #[arg(long)]
    pub reuse_port: bool,

    /// Reads settings from standard input, and reports on standard output. For the server's own gateway
    #[arg(long, exclusive = true)]
    pub supervised: bool,
}

#[derive(Subcommand, Debug)]
pub enum Command {
    Mcp(Relay),
}

/// Speaks MCP on standard input and output, for clients that start a program. The environment variable HYDRA_API_KEY has
/// the API key: others could read it on the command line.
#[derive(Args, Debug)]
#[command(max_term_width = 100)]
pub struct Relay {
    /// A gateway, for example https://hooks.example.com
    #[arg(long, value_name = "URL", default_value = "", hide_default_value = true, env = "HYDRA_URL")]
    pub url: String,

    /// Connection string of the database, where there is no gateway. In the environment it is not seen in lists of processes
    #[arg(
        long,
        value_name = "STRING",
        default_value = "",
        hide_default_value = true,
        env = "HYDRA_DSN",
        hide_env_values = true
    )]
    pub dsn: String,

    /// Only tools of these toolsets, for example support,crm
    #[arg(long, value_name = "NAMES", default_value = "", hide_default_value = true, env = "HYDRA_TOOLSETS")]
    pub toolsets: String,
}

impl Options {
    pub fn given(&self) -> Given {
        Given {
            listen: self.listen.clone(),
            lmtp_listen: self.lmtp_listen.clone(),
            dsn: self.dsn.clone(),
            dsns: Vec::new(),
            public_url: self.public_url.clone(),
            connections: self.connections,
            max_request: self.max_request,
            max_mail: self.max_mail,
            request_timeout_ms: u64::try_from(self.request_timeout.as_millis()).unwrap_or(u64::MAX),
            max_clients: self.max_clients,
            trusted_proxies: self.trusted_proxies.clone(),
            tls_certificate: self.tls_certificate.clone(),
            tls_key: self.tls_key.clone(),
            reuse_port: self.reuse_port,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_options_are_consistent_and_have_the_defaults_of_the_settings() {
        Options::command().debug_assert();
        let options = Options::try_parse_from(["hydra-gateway"]).unwrap();
        assert_eq!(Given { listen: String::new(), ..options.given() }, Given::default());
        assert!(Options::try_parse_from(["hydra-gateway", "--max-request", "1 mb"]).is_err());
    }

    #[test]
    fn the_program_for_mcp_has_options_of_its_own() {
        let options = Options::try_parse_from(["hydra-gateway", "mcp", "--url", "https://h.example"]).unwrap();
        let Some(Command::Mcp(relay)) = options.command else { panic!("{options:?}") };
        assert_eq!((relay.url.as_str(), relay.toolsets.as_str()), ("https://h.example", ""));
        assert!(Options::try_parse_from(["hydra-gateway", "mcp", "--listen", "*:1"]).is_err());
        assert!(Options::try_parse_from(["hydra-gateway", "mcp", "--key", "hyk_x"]).is_err());
    }
}
