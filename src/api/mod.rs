//! SQL functions that are written in Rust. Functions that only read and write the extension's tables are written in
//! SQL, in `sql/functions`.

mod checks;
mod park;
mod secrets;
mod status;
mod test_request;
