//! Running inside a process of the server: signals, transactions, settings, errors.
//!
//! | file | idea |
//! |---|---|
//! | `signals` | what a background worker does when it is asked to stop or to reload, and how it waits |
//! | `transaction` | a transaction whose error does not end the process |
//! | `failure` | such an error, and what was being done |
//! | `subtransaction` | code that may fail without failing the caller's transaction |
//! | `refuse` | errors that fail the statement |
//! | `activity` | what `pg_stat_activity` shows of a worker |
//! | `setting`, `search_path` | parameters of this process; the search path of an expression |
//! | `crash_loop` | workers that crash each time they start |
//! | `descriptors` | the limit of open files |

pub mod activity;
pub mod crash_loop;
pub mod descriptors;
mod failure;
pub mod refuse;
pub mod search_path;
pub mod setting;
pub mod signals;
pub mod subtransaction;
mod transaction;

pub use failure::Failure;
pub use transaction::transaction;
