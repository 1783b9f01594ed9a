//! Running inside a process of the server: subtransactions, settings, errors.

pub mod refuse;
pub mod search_path;
pub mod subtransaction;
