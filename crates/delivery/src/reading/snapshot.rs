//! A snapshot of Postgres: which transactions a query sees.

use crate::xid::Xid8;

/// A snapshot sees the transactions before `xmax`, except those that were in progress.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    pub xmax: Xid8,
    pub in_progress: Vec<Xid8>,
}

impl Snapshot {
    /// A snapshot that sees nothing. Reading begins with it.
    pub fn empty() -> Self {
        Self { xmax: Xid8(1), in_progress: Vec::new() }
    }

    /// Reads the text form of `pg_snapshot`: `xmin:xmax:xip,xip,…`.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, ':').skip(1);
        let xmax = parts.next()?.parse().ok().map(Xid8)?;
        let list = parts.next()?;
        let in_progress = list.split(',').filter(|xid| !xid.is_empty()).map(|xid| xid.parse().ok().map(Xid8));
        Some(Self { xmax, in_progress: in_progress.collect::<Option<_>>()? })
    }

    pub fn sees(&self, xid: Xid8) -> bool {
        xid < self.xmax && !self.in_progress.contains(&xid)
    }
}
