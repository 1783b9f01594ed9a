//! The rules that requests are made under.

use std::sync::Arc;

use crate::destination::DestinationPolicy;
use crate::transport::Roots;

/// A connection is used only for requests under the rules that it was opened under.
#[derive(Debug)]
pub struct Rules {
    pub policy: Arc<DestinationPolicy>,
    pub roots: Roots,
}
