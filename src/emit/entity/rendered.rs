//! The result of rendering an entity: its text, or why it cannot be sent.

use std::fmt;

use super::projection::Projection;
use crate::backend::subtransaction::Failure;

/// The maximum size of an id or a tenant. Longer values are ignored, because ids and tenants are sent even if the
/// entity is left out for its size.
pub const MAX_ID_BYTES: usize = 1024;

/// How to render an entity.
#[derive(Clone, Copy)]
pub struct RenderOptions<'a> {
    /// The key that holds the entity's id.
    pub id_key: &'a str,
    /// The largest size of the text in bytes.
    pub limit: usize,
    /// The columns of a row that its text has; `None`: all.
    pub columns: Option<&'a Projection>,
    /// Whether the row before the change is rendered too.
    pub previous: bool,
}

/// An entity that can be sent, or why it cannot.
pub type RenderResult = Result<Rendered, Unsendable>;

#[derive(Default)]
pub struct Rendered {
    pub text: String,
    pub entity_id: Option<String>,
    pub tenant_id: Option<String>,
    /// The text of the row before the change, or why it cannot be sent. `None` if there is none, or if it was not asked
    /// for.
    pub previous: Option<Result<String, Problem>>,
}

impl Rendered {
    /// Returns the text of the row before the change; `null` if there is none, or if it cannot be sent.
    pub fn previous_or_null(&self) -> &str {
        match &self.previous {
            Some(Ok(text)) => text,
            _ => "null",
        }
    }
}

/// An entity that cannot be sent.
pub struct Unsendable {
    pub problem: Problem,
    /// The id and tenant of the entity, without its text. In a box, because nearly all can be sent.
    pub rest: Box<Rendered>,
}

/// What is wrong with an entity, or with the row before the change. The text about an entity is sent to the receiver after
/// the words "the entity".
pub enum Problem {
    TooLarge { limit: usize },
    NotRendered(Failure),
}

impl Unsendable {
    pub fn too_large(limit: usize, rest: Rendered) -> Self {
        Self { problem: Problem::TooLarge { limit }, rest: Box::new(rest) }
    }

    pub fn not_rendered(failure: Failure, rest: Rendered) -> Self {
        Self { problem: Problem::NotRendered(failure), rest: Box::new(rest) }
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
