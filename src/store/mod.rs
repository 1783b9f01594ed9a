//! Rows to plain structs and back: runs `sql/queries/*.sql` for the dispatcher.
//!
//! Every function is to be called inside a transaction, and raises Postgres's own error when something is wrong.

mod read;
mod statement;
mod types;
mod write;

pub use read::Page;
pub use statement::{Statement, maybe, value};
pub use types::{Snapshot, Xid8, from_micros, to_timestamp};

/// The statements of one dispatcher, planned once.
#[derive(Default)]
pub struct Store {
    reads: read::Reads,
    writes: write::WriteStatements,
}
