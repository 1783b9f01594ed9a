//! The trigger functions: `webhook_emit_row` for each row, `webhook_emit_statement` for all rows of a statement.
//!
//! Both functions take the same arguments and write the same events for the same rows. They differ in the source of the
//! changed rows: `row` gets the row that the trigger was called for, `statement` reads the transition tables in chunks.
//!
//! Most calls are for events that nobody wants. Such a call parses the arguments in place, asks the cache and returns.

mod row;
mod statement;
mod transition;

use std::ffi::{CStr, CString};
use std::rc::Rc;

use pgrx::prelude::*;
use wire::event::Operation;

use super::cache::{self, EventTypes};
use super::entity::{Change, RenderOptions, RenderResult};
use super::errors::Failed;
use super::insert::Reported;
use super::wanted::EventType;
use super::watch::definition::Definition;
use super::watch::evaluation::{Evaluator, Outcome};
use super::watch::misfit;
use super::watch::table::Table;
use super::{kept, record};
use crate::backend::fixed_settings::with_fixed_settings;
use crate::backend::refuse::refuse;
use crate::settings;

/// The two kinds of trigger.
#[derive(Clone, Copy)]
enum Level {
    Row,
    Statement,
}

/// A valid call of a trigger function.
struct TriggerCall<'a> {
    data: &'a pg_sys::TriggerData,
    definition: Definition<&'a str>,
    table: Table,
}

/// Writes the events of a trigger call.
struct Emitter<'a> {
    event_types: Rc<EventTypes>,
    event_type: Rc<EventType>,
    operation: Operation,
    /// `None`: that of the event type.
    entity_type: Option<&'a str>,
    /// Whether the rows before the change are sent.
    previous: bool,
    trigger: pg_sys::Oid,
    table: Table,
    /// `None`: the whole rows are the entities.
    evaluator: Option<Rc<Evaluator>>,
}

impl<'a> TriggerCall<'a> {
    /// Checks the call; fails if it is not valid for a trigger function of this level.
    fn new(trigger: &PgTrigger<'a>, level: Level) -> Self {
        record::refuse_read_only();
        let data = trigger.trigger_data();
        if !level.fits(data) {
            let (kind, detail) = match level {
                Level::Row => {
                    ("an AFTER trigger FOR EACH ROW", "The trigger that called it has another timing or level.")
                }
                Level::Statement => (
                    "an AFTER trigger FOR EACH STATEMENT with transition tables",
                    "The trigger that called it has another timing or level, or no transition table with the rows to send.",
                ),
            };
            level.refuse(format!("{}() must be called by {kind}", level.function()), detail);
        }
        match Definition::parse(arguments_of(trigger.trigger())) {
            Some(definition) => Self { data, definition, table: level.table(data) },
            None => {
                let message = format!("{}() was called with invalid trigger arguments", level.function());
                level.refuse(message, "The first argument is an event type; pairs of a name and a value may follow.")
            }
        }
    }

    /// Returns what writes the events of this call; `None` if there are none to write.
    fn emitter(&self) -> Option<Emitter<'a>> {
        let event = self.definition.event;
        if !settings::emit() || cache::nobody_wants(event) || !self.sets_a_column_of_the_watch() {
            return None;
        }
        let event_types = cache::event_types();
        let event_type = event_types.get(Some(event));
        if !event_type.is_wanted() {
            return None;
        }
        let is_whole_row = self.definition.expressions.is_empty() && !self.definition.chooses_columns();
        let evaluator = (!is_whole_row).then(|| Evaluator::of_trigger(self.trigger(), &self.definition, self.table));
        let operation = match operation(self.data) {
            pg_sys::TRIGGER_EVENT_INSERT => Operation::Insert,
            pg_sys::TRIGGER_EVENT_UPDATE => Operation::Update,
            _ => Operation::Delete,
        };
        let Definition { entity_type, previous, .. } = self.definition;
        let (trigger, table) = (self.trigger(), self.table);
        Some(Emitter { event_types, event_type, operation, entity_type, previous, trigger, table, evaluator })
    }

    fn trigger(&self) -> pg_sys::Oid {
        // SAFETY: the trigger that was called.
        unsafe { (*self.data.tg_trigger).tgoid }
    }

    /// Returns whether the statement sets one of the columns that the watch is for. Only the SET list of an UPDATE
    /// counts, as with UPDATE OF. Columns that do not exist any more are left out.
    fn sets_a_column_of_the_watch(&self) -> bool {
        let columns = &self.definition.columns;
        if columns.is_empty() || operation(self.data) != pg_sys::TRIGGER_EVENT_UPDATE {
            return true;
        }
        let mut missing = Vec::new();
        let sets_one = columns.iter().any(|column| {
            let Some(number) = self.column_number(column) else {
                missing.push(*column);
                return false;
            };
            let member = number - pg_sys::FirstLowInvalidHeapAttributeNumber;
            // SAFETY: the set that Postgres passes to the trigger.
            unsafe { pg_sys::bms_is_member(member, self.data.tg_updatedcols) }
        });
        let (trigger, event) = (self.trigger(), self.definition.event);
        if missing.len() == columns.len() {
            misfit::report_no_column(trigger, &missing, event, self.table);
        } else {
            for column in missing {
                misfit::report_missing_column(trigger, "column", column, event, self.table);
            }
        }
        sets_one
    }

    /// Returns the number of a column; `None` if it does not exist.
    fn column_number(&self, column: &str) -> Option<i32> {
        let name = CString::new(column).expect("an argument of a trigger has no NUL");
        // SAFETY: a C string.
        let number = unsafe { pg_sys::SPI_fnumber(self.row_descriptor(), name.as_ptr()) };
        (number > 0).then_some(number)
    }

    /// Returns the descriptor of the rows, which is valid while the trigger runs.
    fn row_descriptor(&self) -> pg_sys::TupleDesc {
        // SAFETY: the relation is open for as long as the trigger runs.
        unsafe { (*self.data.tg_relation).rd_att }
    }
}

impl Emitter<'_> {
    fn emit(&self, changes: &[Change]) {
        let event_type = &self.event_type;
        let options = RenderOptions { previous: self.previous, ..record::render_options(event_type) };
        let entity_type = self.entity_type.unwrap_or(&event_type.entity_type);
        let reported = Reported { operation: self.operation, entity_type, previous: self.previous };
        let Some(evaluator) = &self.evaluator else {
            let events: Vec<_> = with_fixed_settings(|| changes.iter().map(|change| change.render(options)).collect());
            self.count(Failed::default(), &events);
            return record::emit_all(&self.event_types, event_type, reported, events);
        };
        let (mut events, mut failed) = (Vec::new(), Failed::default());
        for outcome in evaluator.outcomes(changes, options) {
            match outcome {
                Outcome::Event(entity) => events.push(entity),
                Outcome::Kept(entity, misfit) => {
                    failed.note_kept(&misfit);
                    kept::keep(&self.event_types, event_type, self.table, reported, entity, &misfit);
                }
            }
        }
        self.count(failed, &events);
        record::emit_all(&self.event_types, event_type, reported, events);
    }

    /// Counts the events of which a part failed.
    fn count(&self, mut failed: Failed, events: &[RenderResult]) {
        for unsendable in events.iter().filter_map(|event| event.as_ref().err()) {
            failed.note(&unsendable.problem);
        }
        failed.count_for(self.trigger, self.table.oid);
    }
}

impl Level {
    /// Returns whether the call comes from a trigger of this level that has the rows to be sent.
    fn fits(self, data: &pg_sys::TriggerData) -> bool {
        let timing = data.tg_event & pg_sys::TRIGGER_EVENT_TIMINGMASK;
        let for_each_row = data.tg_event & pg_sys::TRIGGER_EVENT_ROW != 0;
        timing == pg_sys::TRIGGER_EVENT_AFTER
            && match self {
                Self::Row => for_each_row,
                Self::Statement if operation(data) == pg_sys::TRIGGER_EVENT_DELETE => {
                    !for_each_row && !data.tg_oldtable.is_null()
                }
                Self::Statement => !for_each_row && !data.tg_newtable.is_null(),
            }
    }

    /// Returns the table, and which rows expressions can see.
    fn table(self, data: &pg_sys::TriggerData) -> Table {
        let (has_old, has_new) = match self {
            Self::Row => {
                (operation(data) != pg_sys::TRIGGER_EVENT_INSERT, operation(data) != pg_sys::TRIGGER_EVENT_DELETE)
            }
            Self::Statement => (!data.tg_oldtable.is_null(), !data.tg_newtable.is_null()),
        };
        // SAFETY: the relation is open for as long as the trigger runs.
        Table { oid: unsafe { (*data.tg_relation).rd_id }, has_old, has_new }
    }

    fn function(self) -> &'static str {
        match self {
            Self::Row => "webhook_emit_row",
            Self::Statement => "webhook_emit_statement",
        }
    }

    fn refuse(self, message: String, detail: &str) -> ! {
        let hint = match self {
            Self::Row => {
                "CREATE TRIGGER … AFTER INSERT ON … FOR EACH ROW EXECUTE FUNCTION hydra.webhook_emit_row('ticket.created')"
            }
            Self::Statement => "hydra.webhook_watch(…, level => 'statement') writes such a trigger.",
        };
        refuse(PgSqlErrorCode::ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED, message, detail, hint)
    }
}

fn operation(data: &pg_sys::TriggerData) -> u32 {
    data.tg_event & pg_sys::TRIGGER_EVENT_OPMASK
}

/// Returns the arguments that the trigger was created with.
pub fn arguments_of(trigger: &pg_sys::Trigger) -> impl Iterator<Item = &str> {
    let argument = |number| {
        // SAFETY: Postgres keeps `tgnargs` C strings with the trigger, in the encoding of the database, which is UTF8.
        unsafe { CStr::from_ptr(*trigger.tgargs.add(number)) }.to_str().unwrap_or_default()
    };
    (0..trigger.tgnargs as usize).map(argument)
}
