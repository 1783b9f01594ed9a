//! Finds out whether this process applies the changes of another cluster.

use pgrx::prelude::*;

/// Returns whether this process writes what another cluster has changed: a worker of logical replication, or a process
/// of another extension for replication, which sets an origin. A session with `session_replication_role = replica` may
/// also be one that restores a dump, so that setting does not decide.
#[pg_extern(volatile)]
fn _is_replicating() -> bool {
    const NONE: pg_sys::RepOriginId = pg_sys::InvalidRepOriginId as pg_sys::RepOriginId;
    // SAFETY: reads what this process has set.
    unsafe { pg_sys::IsLogicalWorker() || pg_sys::replorigin_session_origin != NONE }
}
