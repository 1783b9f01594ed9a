//! The figures as pictures for the README.

use crate::report::Row;

/// File names and their contents.
pub fn draw(_rows: &[Row]) -> Vec<(&'static str, String)> {
    Vec::new()
}
