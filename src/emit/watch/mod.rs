pub mod definition;
pub mod evaluation;
pub mod expression;
pub mod functions;
mod query;
pub mod table;
