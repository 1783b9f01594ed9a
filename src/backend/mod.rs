//! Living inside a Postgres process: signals, transactions, settings, errors.
//!
//! | file | idea |
//! |---|---|
//! | `signals` | what a background worker does when it is asked to stop or to reload, and how it waits |
//! | `transaction` | a transaction whose error does not end the process |
//! | `failure` | such an error, and what was being done |
//! | `activity` | what `pg_stat_activity` shows of a worker |
//! | `setting` | parameters of this process |
//! | `crash_loop` | workers that crash each time they start |
//! | `descriptors` | the limit of open files |

pub mod activity;
pub mod crash_loop;
pub mod descriptors;
mod failure;
pub mod setting;
pub mod signals;
mod transaction;

pub use failure::Failure;
pub use transaction::transaction;
