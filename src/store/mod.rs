//! Rows to plain structs and back: runs `sql/queries/*.sql`.
//!
//! Every function is to be called inside a transaction, and raises Postgres's own error if something is wrong.
//!
//! | file | idea |
//! |---|---|
//! | `read`, `write` | what the dispatcher reads and writes |
//! | `subscriptions` | subscriptions with their secrets, for the dispatcher and for test requests |
//! | `statement`, `row` | statements that are planned once; rows whose columns are known by name |
//! | `types`, `names` | values of Postgres; texts that are kept once |

mod names;
mod read;
mod row;
mod statement;
pub mod subscriptions;
mod types;
mod write;

pub use read::Page;
pub(crate) use row::columns;
pub use row::{Column, Row, Rows};
pub use statement::Statement;
pub use types::to_timestamp;

/// The statements of one dispatcher, planned once.
#[derive(Default)]
pub struct Store {
    reads: read::Reads,
    writes: write::WriteStatements,
}
