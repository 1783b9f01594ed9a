//! Starts threads in a Postgres process, gives each of them its next request, and lets them wake the main thread.

mod bell;
mod pool;
mod quiet;

pub use bell::Bell;
pub use quiet::spawn_quiet;

pub(crate) use pool::{Handler, Pool};
