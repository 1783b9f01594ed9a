//! The events of a whole statement at a time, for bulk changes.
//!
//! The trigger fires once, with the rows in transition tables. It asks once who wants the event, and takes the rows in
//! chunks: one query evaluates the expressions of a chunk, and its events are written in the order of the rows. What comes
//! of it is what a trigger for each row would have written.
//!
//! Postgres puts the old and the new version of an updated row into their tables at the same moment, so the first
//! belongs to the first, and so on. Pairing them by a key instead would be wrong whenever an UPDATE moves keys about.
//! The one exception is a row that was to move to another partition and was kept from it by a trigger there: then the
//! tables differ in length, and nobody can tell any more.

use pgrx::memcxt::PgMemoryContexts;
use pgrx::prelude::*;

use super::super::cache::{EventType, Known};
use super::super::entity::{Change, Row, arguments_of};
use super::super::insert::{EventTable, NewEvent};
use super::super::wanted_event;
use super::super::watch::definition::Definition;
use super::super::watch::evaluation::{Planned, Wish};
use super::super::watch::table::Table;
use crate::backend::refuse::refuse;
use crate::wake;

/// A chunk ends after so many rows, or so many bytes of them: enough to make the cost of a query small, and little
/// enough to hold in memory with what is rendered from it.
const CHUNK_ROWS: usize = 256;
const CHUNK_BYTES: usize = 4 * 1024 * 1024;

/// A trigger of a statement that has been found to be one that can work.
pub struct Fired<'a> {
    data: &'a pg_sys::TriggerData,
    pub definition: Definition,
}

impl<'a> Fired<'a> {
    /// Refuses to be called in any other way than it can work.
    pub fn new(trigger: &'a PgTrigger<'a>) -> Self {
        let data = trigger.trigger_data();
        let after = data.tg_event & pg_sys::TRIGGER_EVENT_TIMINGMASK == pg_sys::TRIGGER_EVENT_AFTER;
        let has_rows = !data.tg_newtable.is_null() || !data.tg_oldtable.is_null();
        let sends_what_it_has =
            data.tg_event & pg_sys::TRIGGER_EVENT_OPMASK != pg_sys::TRIGGER_EVENT_UPDATE || !data.tg_newtable.is_null();
        match Definition::parse(arguments_of(trigger)) {
            Some(definition) if after && has_rows && sends_what_it_has => Self { data, definition },
            _ => refuse(
                PgSqlErrorCode::ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED,
                "webhook_emit_statement() was not called as it can work",
                "It is for AFTER triggers FOR EACH STATEMENT with transition tables, and its first argument is an event type.",
                "hydra.webhook_watch(…, level => 'statement') writes such a trigger.",
            ),
        }
    }

    /// Whether the statement sets one of the columns that matter. By its SET list, as with UPDATE OF.
    pub fn concerns_columns(&self) -> bool {
        self.definition.columns.is_empty()
            || self.definition.columns.iter().any(|column| {
                let number = self.column_number(column);
                // SAFETY: the set that Postgres passes to the trigger.
                unsafe {
                    pg_sys::bms_is_member(number - pg_sys::FirstLowInvalidHeapAttributeNumber, self.data.tg_updatedcols)
                }
            })
    }

    fn column_number(&self, column: &str) -> i32 {
        let name = std::ffi::CString::new(column).expect("an argument of a trigger has no NUL");
        // SAFETY: the relation is open for as long as the trigger runs.
        let (table, number) = unsafe {
            let descriptor = (*self.data.tg_relation).rd_att;
            (self.table(), pg_sys::SPI_fnumber(descriptor, name.as_ptr()))
        };
        if number <= 0 {
            refuse(
                PgSqlErrorCode::ERRCODE_UNDEFINED_COLUMN,
                format!("the watch of {} on {} names a column that is not there", self.definition.event, table.name()),
                &format!("The column: {column}"),
                "Call hydra.webhook_watch again with its columns as they are now, or end the watch with hydra.webhook_unwatch.",
            );
        }
        number
    }

    fn table(&self) -> Table {
        Table {
            // SAFETY: the relation is open for as long as the trigger runs.
            oid: unsafe { (*self.data.tg_relation).rd_id },
            has_old: !self.data.tg_oldtable.is_null(),
            has_new: !self.data.tg_newtable.is_null(),
        }
    }

    /// Emits the events of all rows.
    pub fn emit(&self, known: &Known, event_type: &EventType, limit: usize) {
        let wish = Wish { id_key: &event_type.id_key, limit };
        // SAFETY: the trigger that was called.
        let trigger = unsafe { (*self.data.tg_trigger).tgoid };
        let planned =
            (!self.definition.expressions.is_empty()).then(|| Planned::of(trigger, &self.definition, self.table()));
        let mut rows = Rows::new(self);
        let mut memory = PgMemoryContexts::new("hydra_webhooks chunk");
        let mut more = true;
        while more {
            // SAFETY: nothing that was made in the context outlives the turn.
            more = unsafe {
                memory.switch_to(|_| {
                    let changes = rows.chunk();
                    let outcomes = match &planned {
                        Some(planned) => planned.outcomes(&changes, wish),
                        None => changes.iter().map(|change| Some(change.sent().render(wish.id_key, limit))).collect(),
                    };
                    let events = outcomes.into_iter().flatten();
                    insert_all(known, events.filter_map(|outcome| wanted_event(event_type, None, outcome)));
                    !changes.is_empty()
                })
            };
            // SAFETY: as above.
            unsafe { memory.reset() };
        }
    }
}

fn insert_all<'a>(known: &Known, events: impl Iterator<Item = NewEvent<'a>>) {
    let mut events = events.peekable();
    if events.peek().is_none() {
        return;
    }
    let table = EventTable::open(known);
    for event in events {
        table.insert(&event);
    }
    table.close();
    wake::at_commit();
}

/// The rows of the statement, in the order in which it came to them.
struct Rows {
    descriptor: pg_sys::TupleDesc,
    old: Option<TransitionTable>,
    new: Option<TransitionTable>,
}

/// A reader of its own: other triggers read the same table.
struct TransitionTable {
    store: *mut pg_sys::Tuplestorestate,
    pointer: i32,
}

impl Rows {
    fn new(fired: &Fired<'_>) -> Self {
        let [old, new] = [fired.data.tg_oldtable, fired.data.tg_newtable].map(TransitionTable::open);
        if let (Some(old), Some(new)) = (&old, &new)
            && old.len() != new.len()
        {
            refuse(
                PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                format!("old and new rows of the statement on {} cannot be told apart", fired.table().name()),
                "A trigger kept a row from moving to another partition.",
                "Watch the table with level => 'row'.",
            );
        }
        // SAFETY: the relation is open for as long as the trigger runs.
        let descriptor = unsafe { (*fired.data.tg_relation).rd_att };
        Self { descriptor, old, new }
    }

    /// The next rows, in the current memory context; none at the end.
    fn chunk(&mut self) -> Vec<Change> {
        let mut changes = Vec::new();
        let mut bytes = 0;
        // One for each chunk, as it may hold on to a row in the memory of the chunk. After an error Postgres frees it.
        // SAFETY: the descriptor stays while the trigger runs.
        let slot = unsafe { pg_sys::MakeSingleTupleTableSlot(self.descriptor, &raw const pg_sys::TTSOpsMinimalTuple) };
        while changes.len() < CHUNK_ROWS && bytes < CHUNK_BYTES {
            let [old, new] = [&self.old, &self.new].map(|table| {
                // SAFETY: the slot has the form of the table's rows.
                table.as_ref().and_then(|table| unsafe { table.next(slot) })
            });
            if old.is_none() && new.is_none() {
                break;
            }
            // SAFETY: the tuples are copies, and the relation's descriptor stays while the trigger runs.
            unsafe {
                bytes += old.iter().chain(&new).map(|tuple| (**tuple).t_len as usize).sum::<usize>();
                let row = |tuple| Row::new(tuple, self.descriptor);
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
        // SAFETY: a transition table that Postgres keeps while the trigger runs, or none.
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

    /// A copy of the next row, in the current memory context.
    ///
    /// # Safety
    /// The slot must be one for minimal tuples of this table.
    unsafe fn next(&self, slot: *mut pg_sys::TupleTableSlot) -> Option<pg_sys::HeapTuple> {
        let mut is_copy = false;
        // SAFETY: as in `open`. Whoever read in between may have left another pointer selected.
        unsafe {
            pg_sys::tuplestore_select_read_pointer(self.store, self.pointer);
            let found = pg_sys::tuplestore_gettupleslot(self.store, true, false, slot);
            let tuple = found.then(|| pg_sys::ExecFetchSlotHeapTuple(slot, false, &raw mut is_copy));
            assert!(is_copy || !found, "a minimal tuple is no heap tuple");
            tuple
        }
    }
}
