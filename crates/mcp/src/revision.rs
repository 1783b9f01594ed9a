//! The revisions of the protocol, and which of them a request speaks.
//!
//! Since 2026-07-28 each request says it twice, in a header and in `_meta`; before, in a header after the handshake. A
//! request that says nothing is one of an older revision: `initialize` does not know it yet.
//!
//! 2025-03-26 and older are not spoken: they demand to receive several messages at once.

use crate::failure::Failure;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Revision {
    V2026_07_28,
    V2025_11_25,
    V2025_06_18,
}

impl Revision {
    /// The newest first.
    pub const ALL: [Self; 3] = [Self::V2026_07_28, Self::V2025_11_25, Self::V2025_06_18];

    pub fn name(self) -> &'static str {
        match self {
            Self::V2026_07_28 => "2026-07-28",
            Self::V2025_11_25 => "2025-11-25",
            Self::V2025_06_18 => "2025-06-18",
        }
    }

    pub fn find(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|revision| revision.name() == name)
    }

    /// Whether each request stands for itself, without a handshake.
    pub fn is_stateless(self) -> bool {
        self == Self::V2026_07_28
    }

    /// Returns the revision that is agreed upon with a client that begins with `initialize`.
    pub fn agreed(wanted: &str) -> Self {
        Self::find(wanted).filter(|revision| !revision.is_stateless()).unwrap_or(Self::V2025_11_25)
    }
}

/// Returns the revision of a request by what its header and its `_meta` say.
pub fn of(method: &str, header: Option<&str>, meta: Option<&str>) -> Result<Revision, Failure> {
    let revision = match (header, meta) {
        (None, None) => return Ok(Revision::V2025_11_25),
        // What such a client wants is in the body, and may be older than what the header can say.
        (Some(header), None) if method == "initialize" && !is_stateless(header) => return Ok(Revision::V2025_11_25),
        (None, Some(_)) => return Err(Failure::header_mismatch("the header MCP-Protocol-Version is missing")),
        (Some(header), Some(meta)) if header != meta => {
            return Err(Failure::header_mismatch("MCP-Protocol-Version differs from the revision in _meta"));
        }
        (Some(header), _) => header,
    };
    Revision::find(revision).ok_or_else(|| Failure::unsupported_revision(revision))
}

fn is_stateless(name: &str) -> bool {
    Revision::find(name).is_some_and(Revision::is_stateless)
}
