//! The threads that make requests, how they are started, and how they wake the one that waits for them.

mod bell;
mod pool;
mod quiet;

pub use bell::Bell;

pub(crate) use pool::{Courier, Pool};
pub(crate) use quiet::spawn_quiet;
