//! The rules that requests are made under.

use std::sync::Arc;

use crate::destination::DestinationPolicy;
use crate::transport::Roots;

/// What a connection was opened under: it serves no request that other rules apply to.
#[derive(Debug)]
pub struct Rules {
    pub policy: Arc<DestinationPolicy>,
    pub roots: Roots,
}
