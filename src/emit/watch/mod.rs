//! Parses the arguments of a trigger, which define its events, and evaluates the SQL expressions in them.
//!
//! | file | what it does |
//! |---|---|
//! | `definition` | parses the arguments of a trigger |
//! | `expression` | checks the text of one SQL expression |
//! | `table` | looks up a watched table in the catalog |
//! | `evaluation` | evaluates the expressions for changed rows, and chooses the columns that are sent |
//! | `condition` | decides which rows meet the condition |
//! | `compiled` | compiles a condition that needs no query |
//! | `queries`, `sql`, `query` | evaluate expressions as queries: build them, run them through SPI |
//! | `misfit` | reports a part that failed |
//! | `check` | checks a watch when it is created |
//! | `problem` | finds out why a watch does not fit, for the view |
//! | `renames` | makes watches follow when a column is renamed |
//! | `functions` | has the functions in Rust for `hydra.webhook_watch` and the view `hydra.webhook_watches` |

mod check;
mod compiled;
mod condition;
pub mod definition;
pub mod evaluation;
mod expression;
mod functions;
pub mod misfit;
mod problem;
mod queries;
mod query;
pub mod renames;
mod sql;
pub mod table;
