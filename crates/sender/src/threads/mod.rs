//! Starts threads in a Postgres process, and lets them wake the main thread.

mod bell;
mod quiet;

pub use bell::Bell;
pub use quiet::spawn_quiet;
