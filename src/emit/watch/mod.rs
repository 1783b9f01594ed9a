//! What a trigger says about its events, and evaluating the SQL expressions in it.
//!
//! | file | what it is about |
//! |---|---|
//! | `definition` | the arguments of a trigger |
//! | `expression` | the text of one SQL expression |
//! | `table` | a watched table |
//! | `sql` | the queries that evaluate expressions |
//! | `query` | running such a query through SPI |
//! | `evaluation` | the entities of changed rows |
//! | `functions` | what `hydra.webhook_watch` and the view `hydra.webhook_watches` need from Rust |

pub mod definition;
pub mod evaluation;
mod expression;
mod functions;
mod query;
mod sql;
pub mod table;
