//! Transaction ids.

/// A transaction id that never wraps: `xid8`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Xid8(pub u64);
