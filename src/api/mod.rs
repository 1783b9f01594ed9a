//! SQL functions that are written in Rust. Functions that only read and write the extension's tables are written in
//! SQL, in `sql/functions`.

mod api_keys;
mod checks;
mod gateway_login;
pub mod gateway_status;
mod park;
mod resources;
pub mod secrets;
mod statistics;
mod status;
mod test_request;
mod tools;

pub use status::is_standby;
