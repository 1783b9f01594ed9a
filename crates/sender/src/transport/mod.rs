//! Moves bytes over the network: sockets that never block, in the clear or under TLS, and the authorities that are
//! trusted.

mod roots;
mod socket;

pub use roots::Roots;

pub(crate) use socket::{End, Socket};
