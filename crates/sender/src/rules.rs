//! The rules for requests: which destinations are allowed, and which certificates are trusted.

use std::sync::Arc;

use crate::destination::DestinationPolicy;
use crate::transport::Roots;

/// The rules for a request. A connection is used only for requests with the rules that applied when it was opened.
#[derive(Debug)]
pub struct Rules {
    pub policy: Arc<DestinationPolicy>,
    pub roots: Roots,
}
