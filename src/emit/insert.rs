//! Inserts a row into `hydra.event` without an INSERT statement.
//!
//! An INSERT through SPI sets up an executor for every row and parses the table's CHECK constraints again for each;
//! that was half of the cost of an emit. So the row is inserted as Postgres inserts rows into its catalogs: directly
//! into the table and its indexes, in the caller's transaction. The other work of the executor is not needed: no
//! permission has to be checked, and an event cannot violate the constraints. The trigger `keep_to_its_cluster`, which
//! discards rows that arrive by logical replication, is replaced by a check of `session_replication_role`.

use std::cell::RefCell;
use std::ops::Range;

use pgrx::IntoDatum;
use pgrx::prelude::*;
use wire::ids::SubscriptionId;

use super::entity::{Problem, Rendered};
use super::wanted::EventType;
use crate::tables::Tables;

/// The content of a new row.
pub struct NewEvent<'a> {
    pub event_type: &'a EventType,
    /// The entity. Its text is not used if there is a problem.
    pub rendered: Rendered,
    pub tenant_id: Option<String>,
    /// Why the entity cannot be sent.
    pub problem: Option<Problem>,
    /// The subscriptions that want the event. Never empty.
    pub targets: Vec<SubscriptionId>,
}

/// The number of columns. They are, in the order of the table: xid, id, event_type, entity_type, entity_id, tenant_id,
/// entity, entity_error, emitted_at, targets.
const COLUMNS: usize = 10;

/// The table, open for inserts. It has to be closed; after an error Postgres closes it.
pub struct EventTable<'a> {
    tables: &'a Tables,
    relation: pg_sys::Relation,
    indexes: pg_sys::CatalogIndexState,
}

impl<'a> EventTable<'a> {
    /// Opens the table, which must be locked already.
    pub fn open(tables: &'a Tables) -> Self {
        // SAFETY: the table that was found, and its indexes.
        unsafe {
            let relation = pg_sys::table_open(tables.event, pg_sys::NoLock as i32);
            assert_eq!((*(*relation).rd_att).natts as usize, COLUMNS, "hydra.event is of another version");
            Self { tables, relation, indexes: pg_sys::CatalogOpenIndexes(relation) }
        }
    }

    /// Writes the row and returns the id of the event. Returns `None` if `session_replication_role` is `replica`: then
    /// no event is stored.
    pub fn insert(&self, event: &NewEvent<'_>) -> Option<i64> {
        // SAFETY: a flag of this process. For other inserts, the trigger keep_to_its_cluster has the same effect.
        if unsafe { pg_sys::SessionReplicationRole } == pg_sys::SESSION_REPLICATION_ROLE_REPLICA as i32 {
            return None;
        }
        let id = next_id(self.tables);
        let values = event.values(id);
        let mut datums = values.map(|value| value.unwrap_or(pg_sys::Datum::null()));
        let mut nulls = values.map(|value| value.is_none());
        // SAFETY: the tuple has a value or a null for each column of the table.
        unsafe {
            let descriptor = (*self.relation).rd_att;
            let tuple = pg_sys::heap_form_tuple(descriptor, datums.as_mut_ptr(), nulls.as_mut_ptr());
            pg_sys::CatalogTupleInsertWithInfo(self.relation, tuple, self.indexes);
            pg_sys::heap_freetuple(tuple);
        }
        Some(id)
    }

    pub fn close(self) {
        // SAFETY: what was opened.
        unsafe {
            pg_sys::CatalogCloseIndexes(self.indexes);
            pg_sys::table_close(self.relation, pg_sys::NoLock as i32);
        }
    }
}

impl NewEvent<'_> {
    /// Returns the values of the columns; `None` for null.
    fn values(&self, id: i64) -> [Option<pg_sys::Datum>; COLUMNS] {
        // SAFETY: both functions only read the state of this backend, which is in a transaction.
        let (xid, now) = unsafe { (pg_sys::GetTopFullTransactionId().value, pg_sys::GetCurrentTimestamp()) };
        let entity = self.problem.is_none().then_some(self.rendered.text.as_str());
        [
            Some(xid.into()),
            Some(id.into()),
            self.event_type.name.as_str().into_datum(),
            self.event_type.entity_type.as_str().into_datum(),
            self.rendered.entity_id.as_deref().into_datum(),
            self.tenant_id.as_deref().into_datum(),
            entity.into_datum(),
            self.problem.as_ref().map(|problem| format!("the entity {problem}")).into_datum(),
            Some(pg_sys::Datum::from(now)),
            Some(array_of(&self.targets)),
        ]
    }
}

/// Ids that this backend took from the sequence and has not used yet. All sessions that emit compete for the sequence,
/// so one access takes [`STEP`] ids.
struct Ids {
    sequence: pg_sys::Oid,
    left: Range<i64>,
}

const STEP: i64 = 32;

thread_local! {
    static IDS: RefCell<Ids> = const { RefCell::new(Ids { sequence: pg_sys::InvalidOid, left: 0..0 }) };
}

fn next_id(tables: &Tables) -> i64 {
    let sequence = tables.event_ids;
    let left = IDS.with_borrow_mut(|ids| if ids.sequence == sequence { ids.left.next() } else { None });
    left.unwrap_or_else(|| {
        let first = take_step(tables);
        IDS.set(Ids { sequence, left: first + 1..first + STEP });
        first
    })
}

/// Takes [`STEP`] ids from the sequence, and returns the first of them.
fn take_step(tables: &Tables) -> i64 {
    // Only the owner has privileges on the sequence.
    tables.as_owner(|| {
        let sequence = Some(tables.event_ids.into());
        // SAFETY: the function takes the sequence's oid.
        unsafe { pgrx::direct_function_call(pg_sys::nextval_oid, &[sequence]) }.expect("a number")
    })
}

fn array_of(ids: &[SubscriptionId]) -> pg_sys::Datum {
    let mut elements: Vec<pg_sys::Datum> = ids.iter().map(|id| id.0.into()).collect();
    let count = elements.len() as i32;
    let align = pg_sys::TYPALIGN_DOUBLE as std::ffi::c_char;
    // SAFETY: `count` elements of eight bytes, passed by value.
    unsafe { pg_sys::construct_array(elements.as_mut_ptr(), count, pg_sys::INT8OID, 8, true, align).into() }
}
