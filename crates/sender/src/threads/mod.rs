//! Threads in a Postgres process: how they are started, how each gets its next request, and how they wake the thread that
//! waits for them.

mod bell;
mod pool;
mod quiet;

pub use bell::Bell;

pub(crate) use pool::{Handler, Pool};
pub(crate) use quiet::spawn_quiet;
