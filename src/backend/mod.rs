//! What the other modules need to run inside a process of the server: signals, transactions, parameters, errors.
//!
//! | file | what it does |
//! |---|---|
//! | `signals` | handles requests to stop or to reload in a background worker, and waits |
//! | `transaction` | runs a transaction of a worker; an error does not end the process |
//! | `failure` | describes such an error, and what the worker was doing |
//! | `subtransaction` | runs code that may fail without failing the caller's transaction |
//! | `time_limit` | limits the time of a part of a statement |
//! | `refuse` | raises errors that fail the statement |
//! | `activity` | sets what `pg_stat_activity` shows of a worker |
//! | `setting` | sets parameters of this process |
//! | `fixed_settings` | runs code with the output formats of an event instead of those of the session |
//! | `search_path` | runs an expression with the search path of its author |
//! | `crash_loop` | keeps a worker that crashes at each start from being started again at once |
//! | `descriptors` | raises the limit of open files |

pub mod activity;
pub mod crash_loop;
pub mod descriptors;
mod failure;
pub mod fixed_settings;
pub mod refuse;
pub mod search_path;
pub mod setting;
pub mod signals;
pub mod subtransaction;
pub mod time_limit;
mod transaction;

pub use failure::{Failure, sqlstate};
pub use transaction::transaction;
