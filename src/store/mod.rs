//! Rows to plain structs and back: runs `sql/queries/*.sql` for the dispatcher.
//!
//! Every function is to be called inside a transaction, and raises Postgres's own error when something is wrong.

mod names;
mod read;
mod row;
mod statement;
mod types;
mod write;

pub use read::Page;
pub use row::{Row, Rows};
pub use statement::Statement;
pub use types::to_timestamp;

use types::{Tid, Xid};

/// The statements of one dispatcher, planned once.
#[derive(Default)]
pub struct Store {
    reads: read::Reads,
    writes: write::WriteStatements,
}
