//! Counts what comes to each adapter.
//!
//! If all requests updated the row of their adapter, each would wait for the commit of the one before it. So each session
//! has a row of its own for each adapter, and readers add them up. The number of a session in the server is free again when
//! the session has ended, so there are at most as many rows as sessions at a time.

use pgrx::prelude::*;

use crate::store::Statement;
use crate::tables;

#[derive(Debug, Default, Clone, Copy)]
pub struct Counts {
    pub received: i64,
    pub matched: i64,
    pub unmatched: i64,
    pub duplicates: i64,
    pub refused: i64,
}

/// Adds to the counts of an adapter.
pub fn add(adapter: i64, counts: Counts) {
    thread_local! {
        static COUNT: Statement = const { Statement::new(include_str!("../../sql/queries/count_inbound.sql")) };
    }
    let args = [
        adapter.into(),
        slot().into(),
        counts.received.into(),
        counts.matched.into(),
        counts.unmatched.into(),
        counts.duplicates.into(),
        counts.refused.into(),
    ];
    tables::as_owner(|| Spi::connect_mut(|client| COUNT.with(|count| _ = count.write(client, &args))));
}

/// Returns the number of this session in the server.
fn slot() -> i32 {
    // SAFETY: set when the session began, and never changed.
    #[cfg(any(feature = "pg15", feature = "pg16"))]
    return unsafe { pg_sys::MyBackendId };
    // SAFETY: as above.
    #[cfg(any(feature = "pg17", feature = "pg18"))]
    return unsafe { pg_sys::MyProcNumber };
}
