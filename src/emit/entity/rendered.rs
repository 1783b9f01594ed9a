//! What rendering an entity gives: its text, or why it cannot be sent.

use std::fmt;

use crate::backend::subtransaction::Failure;

/// Longer values are not taken as an id or a tenant: they would be sent with every event, however small its entity is
/// kept.
pub const MAX_ID_BYTES: usize = 1024;

/// How to render an entity.
#[derive(Clone, Copy)]
pub struct RenderOptions<'a> {
    /// The key that holds the entity's id.
    pub id_key: &'a str,
    /// The largest size of the text in bytes.
    pub limit: usize,
}

/// An entity that can be sent, or why it cannot.
pub type RenderResult = Result<Rendered, Unsendable>;

#[derive(Default)]
pub struct Rendered {
    pub text: String,
    pub entity_id: Option<String>,
    pub tenant_id: Option<String>,
}

/// An entity that cannot be sent.
pub struct Unsendable {
    pub problem: Problem,
    /// What else is known of it; without its text.
    pub rest: Rendered,
}

/// What is wrong with an entity. As text it follows "the entity"; the receiver reads it.
pub enum Problem {
    TooLarge { limit: usize },
    NotRendered(Failure),
}

impl Unsendable {
    pub fn too_large(limit: usize, rest: Rendered) -> Self {
        Self { problem: Problem::TooLarge { limit }, rest }
    }

    pub fn not_rendered(failure: Failure, rest: Rendered) -> Self {
        Self { problem: Problem::NotRendered(failure), rest }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge { limit } => write!(f, "is larger than {} kB", limit / 1024),
            Self::NotRendered(failure) => write!(f, "cannot be rendered (SQLSTATE {})", failure.sqlstate()),
        }
    }
}
