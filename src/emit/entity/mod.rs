//! An entity as JSON text, exactly as it will be sent.
//!
//! It is a `jsonb` ([`RawJsonb`]) or the row of a table ([`Row`]). Rendering runs the caller's own code, such as a cast to
//! json or the output function of a type, so it is done as the caller. A payload never fails the caller's transaction: an
//! entity that cannot be rendered, or is too large, is left out, and the event says why.

mod jsonb;
mod rendered;
mod row;

pub use jsonb::RawJsonb;
pub use rendered::{MAX_ID_BYTES, Problem, RenderOptions, RenderResult, Rendered, Unsendable};
pub use row::{Change, Row};
