//! SQL functions that are not SQL themselves. Those that only read and write our tables are in `sql/functions`.

mod checks;
mod park;
mod status;
mod test_request;
