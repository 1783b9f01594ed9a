//! Moves bytes over the network: TCP and TLS connections with a time limit, the heads of answers in a simple form, and a
//! way to cut all connections at once.

mod connecting;
mod deadline;
mod head;
mod open_sockets;
mod readiness;
mod tcp;
mod tls;
mod trace;

pub use tls::Roots;

pub(crate) use connecting::Preferences;
pub(crate) use head::{BadAnswer, HeadConnector};
pub(crate) use open_sockets::OpenSockets;
#[cfg(test)]
pub(crate) use tcp::MAX_AGE;
pub(crate) use tcp::TcpConnector;
pub(crate) use tls::TlsConnector;
pub(crate) use trace::Trace;
