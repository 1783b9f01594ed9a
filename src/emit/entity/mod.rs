//! An entity as JSON text, exactly as it will be sent.

mod jsonb;
mod row;

pub use jsonb::{MAX_ID_BYTES, RawJsonb, Rendered, Unsendable};
pub use row::{Change, Row, arguments_of, definition_of, event_of};
