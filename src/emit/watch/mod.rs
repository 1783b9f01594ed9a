//! Parses the arguments of a trigger, which define its events, and evaluates the SQL expressions in them.
//!
//! | file | what it does |
//! |---|---|
//! | `definition` | parses the arguments of a trigger |
//! | `expression` | checks the text of one SQL expression |
//! | `table` | looks up a watched table in the catalog |
//! | `sql` | builds the queries that evaluate expressions |
//! | `query` | runs such a query through SPI |
//! | `evaluation` | evaluates the expressions for changed rows |
//! | `functions` | checks a watch for `hydra.webhook_watch`, and reads it for the view `hydra.webhook_watches` |

pub mod definition;
pub mod evaluation;
mod expression;
mod functions;
mod query;
mod sql;
pub mod table;
