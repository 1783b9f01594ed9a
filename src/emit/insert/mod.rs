//! Inserts a row into `hydra.event`, usually without an INSERT statement.
//!
//! An INSERT through SPI sets up an executor for every row and parses the table's CHECK constraints again for each;
//! that was half of the cost of an emit. So the row is inserted as Postgres inserts rows into its catalogs: directly
//! into the table and its indexes, in the caller's transaction. The other work of the executor is not needed: no
//! permission has to be checked, and an event cannot violate the constraints. The triggers of the extension fire only
//! under `session_replication_role = replica`, under which no event is emitted.
//!
//! This holds only for the table as the extension made it. If something was added to it (see `as_made`), an INSERT
//! statement writes the row, so that every trigger, rule, constraint and index has its effect.

mod by_sql;

use std::cell::RefCell;
use std::ops::Range;

use pgrx::IntoDatum;
use pgrx::prelude::*;
use smallvec::SmallVec;
use wire::event::Operation;
use wire::ids::Installation;

use super::as_made::{self, COLUMNS};
use super::cache::EventTypes;
use super::entity::{Problem, Rendered};
use super::wanted::{EventType, Target};
use crate::inbound::hops;
use crate::tables::Tables;

/// What a trigger says about the events of a change.
#[derive(Clone, Copy)]
pub struct Reported<'a> {
    pub operation: Operation,
    pub entity_type: &'a str,
    /// Whether the row before the change is sent.
    pub previous: bool,
}

/// The content of a new row.
pub struct NewEvent<'a> {
    pub event_type: &'a EventType,
    /// `None` if no trigger emits it.
    pub reported: Option<Reported<'a>>,
    /// The entity. Its text is not used if there is a problem.
    pub rendered: Rendered,
    pub tenant_id: Option<String>,
    /// Why the entity cannot be sent.
    pub problem: Option<Problem>,
    /// The subscriptions that want the event. Never empty.
    pub targets: Vec<Target>,
}

/// A value for each column; `None` for null.
type Values = [Option<pg_sys::Datum>; COLUMNS.len()];

/// The table, open for inserts. It has to be closed; after an error Postgres closes it.
pub struct EventTable<'a> {
    event_types: &'a EventTypes,
    relation: pg_sys::Relation,
    indexes: pg_sys::CatalogIndexState,
    /// Whether rows are inserted without an INSERT statement.
    directly: bool,
}

impl<'a> EventTable<'a> {
    /// Opens the table, which must be locked already.
    pub fn open(event_types: &'a EventTypes) -> Self {
        // SAFETY: the table that was found, and its indexes.
        unsafe {
            let relation = pg_sys::table_open(event_types.tables.event, pg_sys::NoLock as i32);
            let indexes = pg_sys::CatalogOpenIndexes(relation);
            let directly = event_types.event_is_as_made && as_made::are_plain(indexes);
            Self { event_types, relation, indexes, directly }
        }
    }

    /// Writes the row and returns the id of the event. Returns `None` if no row was stored: if
    /// `session_replication_role` is `replica`, or a trigger or rule prevented it.
    pub fn insert(&self, event: &NewEvent<'_>) -> Option<i64> {
        // SAFETY: a flag of this process.
        if unsafe { pg_sys::SessionReplicationRole } == pg_sys::SESSION_REPLICATION_ROLE_REPLICA as i32 {
            return None;
        }
        let id = next_id(&self.event_types.tables);
        let values = event.values(id, &self.event_types.installation);
        let is_inserted = match self.directly {
            true => {
                self.insert_directly(&values);
                true
            }
            false => by_sql::insert(&self.event_types.tables, &values),
        };
        is_inserted.then_some(id)
    }

    fn insert_directly(&self, values: &Values) {
        // SAFETY: the tuple has a value or a null for each column of the table; further columns have been dropped.
        unsafe {
            let descriptor = (*self.relation).rd_att;
            let columns = (*descriptor).natts as usize;
            let mut datums: SmallVec<[_; COLUMNS.len()]> =
                values.iter().map(|value| value.unwrap_or(pg_sys::Datum::null())).collect();
            let mut nulls: SmallVec<[_; COLUMNS.len()]> = values.iter().map(Option::is_none).collect();
            datums.resize(columns, pg_sys::Datum::null());
            nulls.resize(columns, true);
            let tuple = pg_sys::heap_form_tuple(descriptor, datums.as_mut_ptr(), nulls.as_mut_ptr());
            pg_sys::CatalogTupleInsertWithInfo(self.relation, tuple, self.indexes);
            pg_sys::heap_freetuple(tuple);
        }
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
    /// Returns the values of the columns, in their order.
    fn values(&self, id: i64, installation: &Installation) -> Values {
        // SAFETY: both functions only read the state of this backend, which is in a transaction.
        let (xid, now) = unsafe { (pg_sys::GetTopFullTransactionId().value, pg_sys::GetCurrentTimestamp()) };
        let entity = self.problem.is_none().then_some(self.rendered.text.as_str());
        let entity_type = self.reported.map_or(self.event_type.entity_type.as_str(), |reported| reported.entity_type);
        let previous =
            self.reported.is_some_and(|reported| reported.previous).then(|| self.rendered.previous_or_null());
        [
            Some(xid.into()),
            Some(id.into()),
            // The postmaster does not use this generator, so no two sessions begin with the same state.
            Some(rand::random::<i64>().into()),
            Some(pg_sys::Datum::from(now)),
            Some(pg_sys::Datum::from(installation.0.as_ptr())),
            Some(hops::of_new_event().into()),
            self.reported.map(|reported| reported.operation.as_str()).into_datum(),
            self.event_type.name.as_str().into_datum(),
            entity_type.into_datum(),
            self.rendered.entity_id.as_deref().into_datum(),
            self.tenant_id.as_deref().into_datum(),
            entity.into_datum(),
            self.problem.as_ref().map(|problem| format!("the entity {problem}")).into_datum(),
            previous.into_datum(),
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

fn array_of(targets: &[Target]) -> pg_sys::Datum {
    let mut elements: Vec<pg_sys::Datum> = targets.iter().map(|target| target.number().into()).collect();
    let count = elements.len() as i32;
    let align = pg_sys::TYPALIGN_DOUBLE as std::ffi::c_char;
    // SAFETY: `count` elements of eight bytes, passed by value.
    unsafe { pg_sys::construct_array(elements.as_mut_ptr(), count, pg_sys::INT8OID, 8, true, align).into() }
}
