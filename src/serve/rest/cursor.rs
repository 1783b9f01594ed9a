//! A cursor says after which row a page begins: the values that this row had in the columns of the order.
//!
//! It is base64 of JSON, and nothing that a client should look into. It need not be authenticated: it only says where to
//! begin in a list that the caller may read. A digest ties it to resource, filters and order: with others, it would skip rows
//! without a word.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::filter::Filter;
use super::resource::Resource;
use super::sort::Key;
use crate::serve::problem::Problem;

/// A longer cursor would not fit into a URL with other parameters.
const MAX_BYTES: usize = 6000;

/// The values of the row in the columns of the order; the last one is the id.
pub type Position = Vec<Option<String>>;

/// Returns what identifies a list: its resource, filters and order.
pub fn digest(resource: &Resource, filters: &[Filter<'_>], keys: &[Key<'_>]) -> String {
    let mut filters: Vec<_> = filters.iter().map(|filter| (&filter.column.name, filter.name, &filter.value)).collect();
    filters.sort();
    let keys: Vec<_> = keys.iter().map(|key| (&key.column.name, key.descending)).collect();
    let whole = serde_json::to_vec(&(&resource.name, filters, keys)).expect("texts");
    URL_SAFE_NO_PAD.encode(&Sha256::digest(whole)[..9])
}

/// Makes a cursor of a position.
pub fn make(digest: &str, position: &Position) -> Result<String, Problem> {
    let whole = serde_json::to_vec(&(digest, position)).expect("texts");
    let cursor = URL_SAFE_NO_PAD.encode(whole);
    match cursor.len() <= MAX_BYTES {
        true => Ok(cursor),
        false => Err(Problem::invalid()
            .with_detail("A value of the order is too long for the cursor of the next page.")
            .with_hint("Sort by another column.")),
    }
}

/// Returns the position of a cursor.
pub fn read(cursor: &str, digest: &str, keys: &[Key<'_>]) -> Result<Position, Problem> {
    let decoded = URL_SAFE_NO_PAD.decode(cursor).ok().and_then(|whole| serde_json::from_slice::<Value>(&whole).ok());
    let Some((of, position)) = decoded.and_then(|decoded| serde_json::from_value::<(String, Position)>(decoded).ok())
    else {
        return Err(malformed());
    };
    if of != digest {
        return Err(wrong("The cursor is that of another list: its filters or its order differ.")
            .with_hint("Keep the other parameters as they were when you got the cursor. Only limit may change."));
    }
    let has_null = keys.iter().zip(&position).any(|(key, value)| value.is_none() && !key.may_be_null);
    let has_nul = position.iter().flatten().any(|value| value.contains('\0'));
    match position.len() == keys.len() && !has_null && !has_nul {
        true => Ok(position),
        false => Err(malformed()),
    }
}

/// The cursor is none that was made here.
pub fn malformed() -> Problem {
    wrong("The cursor cannot be read.").with_hint("Use next_cursor of the page before, as it is.")
}

fn wrong(detail: &str) -> Problem {
    Problem::bad_request().with_error("cursor", "invalid_cursor", detail).with_detail(detail)
}
