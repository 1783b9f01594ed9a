//! Renders an entity as JSON text, exactly as it will be sent.
//!
//! An entity is a `jsonb` ([`RawJsonb`]) or the row of a table ([`Row`]). Rendering runs the caller's own code, such as
//! a cast to json or the output function of a type, so it is done as the caller. If an entity cannot be rendered, or is
//! too large, the caller's transaction does not fail here: the entity is left out, and the event says why.

mod composite;
mod jsonb;
mod projection;
mod rendered;
mod room;
mod row;
mod virtual_columns;

pub use composite::Composite;
pub use jsonb::RawJsonb;
pub use projection::Projection;
pub use rendered::{MAX_ID_BYTES, Problem, RenderOptions, RenderResult, Rendered, Unsendable};
pub use row::{Change, Row};
pub use virtual_columns::VirtualColumns;
