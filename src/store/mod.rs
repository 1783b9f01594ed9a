//! Runs the statements in `sql/queries/`, and converts rows to plain structs and back.
//!
//! Every function has to be called inside a transaction. If something is wrong, it raises the error of Postgres.
//!
//! | file | what it does |
//! |---|---|
//! | `read`, `write` | read and write rows for the dispatcher |
//! | `counts` | counts attempts |
//! | `retention` | removes what is old |
//! | `subscriptions` | reads subscriptions with their secrets, for the dispatcher and for test requests |
//! | `statement` | keeps the plan of a statement, or runs it once |
//! | `delivered` | keeps deliveries that have succeeded |
//! | `delivery_columns` | has the columns of deliveries as arguments of a statement |
//! | `row` | reads the rows of a result, by the names of the columns |
//! | `types` | converts values of Postgres |
//! | `names` | stores a text only once in memory if many rows have it |

mod counts;
mod delivered;
mod delivery_columns;
mod names;
mod read;
mod retention;
mod row;
mod statement;
pub mod subscriptions;
mod types;
mod write;

pub use read::{Page, PageEvents};
pub(crate) use row::columns;
pub use row::{Column, Row, Rows};
pub use statement::{Statement, read_once};
pub use types::{to_system_time, to_timestamp};

use crate::backend::setting;

/// Makes Postgres plan the statements of this transaction again, for the present sizes of their arguments and tables. A
/// plan that was made while a table was empty would read the whole table for each row of the arguments.
fn force_new_plans() {
    setting::set_local(c"plan_cache_mode", c"force_custom_plan");
}

/// The statements of one dispatcher, planned once.
#[derive(Default)]
pub struct Store {
    pub read: read::Reads,
    pub write: write::Writes,
    pub counts: counts::Counts,
    pub retention: retention::Retention,
}
