//! Reads the changed rows of a statement from its transition tables.
//!
//! Postgres puts the old and the new version of an updated row into their tables at the same moment, so the first old
//! row belongs to the first new row, and so on. Pairing them by a key instead would be wrong if an UPDATE changes keys.
//! There is one exception: an UPDATE would move a row to another partition, but a trigger of that partition suppresses
//! the insert. Then the tables differ in length, and old and new rows cannot be paired.

use pgrx::prelude::*;

use super::TriggerCall;
use crate::backend::refuse::refuse;
use crate::emit::entity::{Change, Row, VirtualColumns};

/// A chunk ends when it has this many rows or bytes: enough to make the cost of a query per row small, and few enough
/// to be kept in memory together with the entities rendered from them.
const CHUNK_ROWS: usize = 256;
const CHUNK_BYTES: usize = 4 * 1024 * 1024;

/// The changed rows of the statement, in the order in which the statement changed them.
pub struct TransitionRows {
    descriptor: pg_sys::TupleDesc,
    columns: VirtualColumns,
    old: Option<TransitionTable>,
    new: Option<TransitionTable>,
}

/// A transition table with a separate read pointer: other triggers read the same table.
struct TransitionTable {
    store: *mut pg_sys::Tuplestorestate,
    pointer: i32,
}

impl TransitionRows {
    pub fn open(call: &TriggerCall<'_>) -> Self {
        let [old, new] = [call.data.tg_oldtable, call.data.tg_newtable].map(TransitionTable::open);
        if let (Some(old), Some(new)) = (&old, &new)
            && old.len() != new.len()
        {
            refuse(
                PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                format!("old and new rows of the statement on {} cannot be paired", call.table.name()),
                "A trigger prevented a row from moving to another partition.",
                "Watch the table with level => 'row'.",
            );
        }
        // SAFETY: the relation is open for as long as the trigger runs.
        let columns = unsafe { VirtualColumns::of(call.data.tg_relation) };
        Self { descriptor: call.row_descriptor(), columns, old, new }
    }

    /// Returns the next rows, in the current memory context; no rows at the end.
    pub fn next_chunk(&mut self) -> Vec<Change> {
        let mut changes = Vec::new();
        let mut bytes = 0;
        // Each chunk has its own tuple slot, which may refer to a row in the memory of the chunk. After an error
        // Postgres frees the slot.
        // SAFETY: the descriptor stays valid while the trigger runs.
        let slot = unsafe { pg_sys::MakeSingleTupleTableSlot(self.descriptor, &raw const pg_sys::TTSOpsMinimalTuple) };
        while changes.len() < CHUNK_ROWS && bytes < CHUNK_BYTES {
            let [old, new] = [&self.old, &self.new].map(|table| {
                // SAFETY: the slot was made for minimal tuples of the table.
                table.as_ref().and_then(|table| unsafe { table.next(slot) })
            });
            if old.is_none() && new.is_none() {
                break;
            }
            // SAFETY: the tuples are copies, and the relation's descriptor is valid while the trigger runs.
            unsafe {
                bytes += old.iter().chain(&new).map(|tuple| (**tuple).t_len as usize).sum::<usize>();
                let row = |tuple| Row::new(tuple, self.descriptor, &self.columns);
                changes.push(Change { old: old.map(row), new: new.map(row) });
            }
        }
        // SAFETY: made above.
        unsafe { pg_sys::ExecDropSingleTupleTableSlot(slot) };
        changes
    }
}

impl TransitionTable {
    fn open(store: *mut pg_sys::Tuplestorestate) -> Option<Self> {
        // SAFETY: a transition table that Postgres keeps while the trigger runs, or null.
        (!store.is_null()).then(|| unsafe {
            let pointer = pg_sys::tuplestore_alloc_read_pointer(store, pg_sys::EXEC_FLAG_REWIND as i32);
            pg_sys::tuplestore_select_read_pointer(store, pointer);
            pg_sys::tuplestore_rescan(store);
            Self { store, pointer }
        })
    }

    fn len(&self) -> i64 {
        // SAFETY: as in `open`.
        unsafe { pg_sys::tuplestore_tuple_count(self.store) }
    }

    /// Returns a copy of the next row, in the current memory context.
    ///
    /// # Safety
    /// The slot must be one for minimal tuples of this table.
    unsafe fn next(&self, slot: *mut pg_sys::TupleTableSlot) -> Option<pg_sys::HeapTuple> {
        let mut is_copy = false;
        // SAFETY: as in `open`. Other readers may have selected another pointer since the last row.
        unsafe {
            pg_sys::tuplestore_select_read_pointer(self.store, self.pointer);
            let found = pg_sys::tuplestore_gettupleslot(self.store, true, false, slot);
            let tuple = found.then(|| pg_sys::ExecFetchSlotHeapTuple(slot, false, &raw mut is_copy));
            assert!(is_copy || !found, "a minimal tuple is not a heap tuple");
            tuple
        }
    }
}
