//! What the other modules need to run inside a process of the server: signals, transactions, parameters, errors.
//!
//! | file | what it does |
//! |---|---|
//! | `signals` | handles requests to stop or to reload in a background worker, and waits |
//! | `transaction` | runs a transaction of a worker; an error does not end the process |
//! | `failure` | describes such an error, and what the worker was doing |
//! | `complaints` | logs errors, and those that last ever more rarely |
//! | `subtransaction` | runs code that may fail without failing the caller's transaction |
//! | `error_context` | has Postgres call a function while it makes a message |
//! | `raised` | knows the SQLSTATE of an error, also if it is the application's own |
//! | `timer` | uses timers of Postgres |
//! | `time_limit` | limits the time of a part of a statement |
//! | `deadline` | limits the time of a statement while it runs |
//! | `notices` | collects the messages of a part of a statement |
//! | `refuse` | raises errors that fail the statement |
//! | `diagnostics` | finds out which constraint or column an error is about |
//! | `attributes` | reads the attributes of a tuple descriptor |
//! | `activity` | sets what `pg_stat_activity` shows of a worker |
//! | `catalog_changes` | keeps what was read from the catalog until definitions change |
//! | `setting` | sets parameters of this process |
//! | `settings_of_role` | connects a worker without the settings of its database and role |
//! | `fixed_settings` | runs code with the output formats of an event instead of those of the session |
//! | `search_path` | runs an expression with the search path of its author |
//! | `crash_loop` | keeps a worker that crashes at each start from being started again at once |
//! | `database_lock` | finds out whether a statement needs a database without sessions |
//! | `extension_lock` | keeps DROP EXTENSION waiting while a transaction uses the tables of the extension |
//! | `stopping` | finds out whether the server is being stopped in smart mode |
//! | `descriptors` | raises the limit of open files |

pub mod activity;
pub mod attributes;
pub mod catalog_changes;
pub mod complaints;
pub mod crash_loop;
pub mod database_lock;
pub mod deadline;
pub mod descriptors;
pub mod diagnostics;
mod error_context;
pub mod extension_lock;
mod failure;
pub mod fixed_settings;
pub mod notices;
pub mod raised;
pub mod refuse;
pub mod search_path;
pub mod setting;
pub mod settings_of_role;
pub mod signals;
pub mod stopping;
pub mod subtransaction;
pub mod time_limit;
mod timer;
mod transaction;

pub use failure::{Failure, sqlstate};
pub use transaction::transaction;
