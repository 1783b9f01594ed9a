//! Moves bytes over the network: TCP and TLS connections with a time limit, and a way to cut all of them at once.

mod deadline;
mod open_sockets;
mod tcp;
mod tls;
mod trace;

pub use tls::Roots;

pub(crate) use open_sockets::OpenSockets;
pub(crate) use tcp::TcpConnector;
pub(crate) use tls::TlsConnector;
pub(crate) use trace::Trace;
