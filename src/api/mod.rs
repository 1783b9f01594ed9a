//! SQL functions that are written in Rust. Those that only read and write our tables are in `sql/functions`.

mod checks;
mod park;
mod secrets;
mod status;
mod test_request;
