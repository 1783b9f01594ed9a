//! The row of a trigger as an entity.
//!
//! `row_to_json` keeps `json` columns as they are, where `to_jsonb` would refuse `\u0000` in them. What is far over the
//! limit is not rendered at all. Types that Postgres brings along cannot fail to render; others run code of their
//! owners, so a row that has one is rendered in a subtransaction.

use std::ffi::CStr;

use pgrx::FromDatum;
use pgrx::prelude::*;

use super::super::watch::definition::Definition;
use super::jsonb::{MAX_ID_BYTES, RawJsonb, Rendered, Unsendable, too_large};
use crate::backend::refuse::refuse;
use crate::backend::subtransaction::in_subtransaction;

/// A row whose stored size is so many times the limit is over it in whatever form: nothing shrinks that much, save
/// numbers in `jsonb` arrays, which take 12 bytes where text takes 2.
const SHRINKS_BY: usize = 8;

/// Types whose rendering runs no code of users, and cannot fail.
const HARMLESS: [pg_sys::Oid; 21] = [
    pg_sys::BOOLOID,
    pg_sys::INT2OID,
    pg_sys::INT4OID,
    pg_sys::INT8OID,
    pg_sys::FLOAT4OID,
    pg_sys::FLOAT8OID,
    pg_sys::NUMERICOID,
    pg_sys::TEXTOID,
    pg_sys::VARCHAROID,
    pg_sys::BPCHAROID,
    pg_sys::NAMEOID,
    pg_sys::OIDOID,
    pg_sys::UUIDOID,
    pg_sys::DATEOID,
    pg_sys::TIMEOID,
    pg_sys::TIMETZOID,
    pg_sys::TIMESTAMPOID,
    pg_sys::TIMESTAMPTZOID,
    pg_sys::INTERVALOID,
    pg_sys::JSONOID,
    pg_sys::JSONBOID,
];

/// The event type that the trigger names. Refuses to be called in any other way than it can work.
pub fn event_of<'a>(trigger: &'a PgTrigger<'_>) -> &'a str {
    // Wrong arguments are refused while nobody wants the event, too, and not only when it matters to somebody.
    if trigger.trigger().tgnargs > 1 {
        definition_of(trigger);
    }
    let fired = trigger.trigger_data().tg_event;
    let rowwise = fired & pg_sys::TRIGGER_EVENT_ROW != 0;
    let after = fired & pg_sys::TRIGGER_EVENT_TIMINGMASK == pg_sys::TRIGGER_EVENT_AFTER;
    arguments_of(trigger).next().filter(|_| rowwise && after).unwrap_or_else(|| refuse_trigger())
}

/// What the trigger says.
pub fn definition_of(trigger: &PgTrigger<'_>) -> Definition {
    let definition = Definition::parse(arguments_of(trigger)).filter(Definition::suits_row_level);
    definition.unwrap_or_else(|| refuse_trigger())
}

fn refuse_trigger() -> ! {
    refuse(
        PgSqlErrorCode::ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED,
        "webhook_emit_row() was not called as it can work",
        "It is for AFTER triggers FOR EACH ROW, and its first argument is an event type.",
        "CREATE TRIGGER … AFTER INSERT ON … FOR EACH ROW EXECUTE FUNCTION hydra.webhook_emit_row('ticket.created')",
    )
}

/// What the trigger was created with.
pub fn arguments_of<'a>(trigger: &'a PgTrigger<'_>) -> impl Iterator<Item = &'a str> {
    let trigger = trigger.trigger();
    // SAFETY: Postgres keeps so many C strings with the trigger, in the encoding of the database, which is UTF8.
    (0..trigger.tgnargs as usize)
        .map(|n| unsafe { CStr::from_ptr(*trigger.tgargs.add(n)) }.to_str().unwrap_or_default())
}

/// What a statement did to one row.
pub struct Change {
    pub old: Option<Row>,
    pub new: Option<Row>,
}

pub struct Row {
    tuple: pg_sys::HeapTuple,
    descriptor: pg_sys::TupleDesc,
}

impl Change {
    /// What a trigger FOR EACH ROW was called for. Good for as long as the trigger runs.
    pub fn of(trigger: &PgTrigger<'_>) -> Self {
        let data = trigger.trigger_data();
        // SAFETY: Postgres keeps the tuples and the relation for as long as the trigger runs.
        let row = |tuple| Some(unsafe { Row::new(tuple, (*data.tg_relation).rd_att) });
        match data.tg_event & pg_sys::TRIGGER_EVENT_OPMASK {
            pg_sys::TRIGGER_EVENT_INSERT => Self { old: None, new: row(data.tg_trigtuple) },
            pg_sys::TRIGGER_EVENT_UPDATE => Self { old: row(data.tg_trigtuple), new: row(data.tg_newtuple) },
            _ => Self { old: row(data.tg_trigtuple), new: None },
        }
    }

    /// The row that is sent: the new one, or the old one of a DELETE.
    pub fn sent(&self) -> &Row {
        self.new.as_ref().or(self.old.as_ref()).expect("a change has a row")
    }
}

impl Row {
    /// # Safety
    /// Postgres must keep the tuple and its descriptor, that of a table, for as long as this is used.
    pub unsafe fn new(tuple: pg_sys::HeapTuple, descriptor: pg_sys::TupleDesc) -> Self {
        Self { tuple, descriptor }
    }

    /// The row as JSON text of at most `limit` bytes.
    pub fn render(&self, id_key: &str, limit: usize) -> Result<Rendered, Unsendable> {
        let rendered = self.without_text(id_key);
        // SAFETY: as `new` was promised.
        unsafe {
            if self.is_surely_larger_than(limit) {
                return Err(too_large(limit, rendered));
            }
            match self.json() {
                Ok(text) if text.len() <= limit => Ok(Rendered { text, ..rendered }),
                Ok(_) => Err(too_large(limit, rendered)),
                Err(problem) => Err(Unsendable { problem, rest: rendered }),
            }
        }
    }

    /// Its id and tenant.
    pub fn without_text(&self, id_key: &str) -> Rendered {
        // SAFETY: as `new` was promised.
        unsafe {
            Rendered { text: String::new(), entity_id: self.text_of(id_key), tenant_id: self.text_of("tenant_id") }
        }
    }

    /// As a value of the table's row type.
    pub fn datum(&self) -> pg_sys::Datum {
        // SAFETY: as `new` was promised; the result is of the current memory context.
        unsafe { pg_sys::heap_copy_tuple_as_datum(self.tuple, self.descriptor) }
    }

    /// Places of the columns, from 1, with their descriptions.
    unsafe fn columns(&self) -> impl Iterator<Item = (i32, &pg_sys::FormData_pg_attribute)> {
        // SAFETY: a descriptor has as many attributes as it says.
        let attributes = unsafe { (*self.descriptor).attrs.as_slice((*self.descriptor).natts as usize) };
        (1..).zip(attributes).filter(|(_, attribute)| !attribute.attisdropped)
    }

    unsafe fn value(&self, column: i32) -> Option<pg_sys::Datum> {
        let mut is_null = false;
        // SAFETY: a column of this row.
        let datum = unsafe { pg_sys::SPI_getbinval(self.tuple, self.descriptor, column, &raw mut is_null) };
        (!is_null).then_some(datum)
    }

    /// A column as text; `None` where it is null, not there or too long to be an id.
    unsafe fn text_of(&self, name: &str) -> Option<String> {
        // SAFETY: a column of this row and its type. SPI's result is a C string of our own memory context, or null.
        unsafe {
            let is_it = |attribute: &pg_sys::FormData_pg_attribute| {
                CStr::from_ptr(attribute.attname.data.as_ptr()).to_bytes() == name.as_bytes()
            };
            let (column, attribute) = self.columns().find(|(_, attribute)| is_it(attribute))?;
            // Most ids and tenants are of the first types; Postgres looks the output function of a type up for each row.
            let text = match attribute.atttypid {
                pg_sys::INT8OID => self.value(column).map(|datum| (datum.value() as i64).to_string()),
                pg_sys::TEXTOID => self.value(column).and_then(|datum| String::from_datum(datum, false)),
                _ => {
                    let text = pg_sys::SPI_getvalue(self.tuple, self.descriptor, column);
                    (!text.is_null()).then(|| CStr::from_ptr(text).to_string_lossy().into_owned())
                }
            };
            text.filter(|text| text.len() <= MAX_ID_BYTES)
        }
    }

    /// By what is stored, without rendering; numbers of `jsonb` columns are looked at one by one.
    unsafe fn is_surely_larger_than(&self, limit: usize) -> bool {
        let mut stored = 0;
        // SAFETY: only values of variable length are measured, as what they are.
        unsafe {
            for (column, attribute) in self.columns().filter(|(_, attribute)| attribute.attlen == -1) {
                let Some(datum) = self.value(column) else { continue };
                stored += pg_sys::toast_raw_datum_size(datum);
                if stored > limit * SHRINKS_BY {
                    return true;
                }
                if attribute.atttypid == pg_sys::JSONBOID {
                    let value = RawJsonb::from_polymorphic_datum(datum, false, pg_sys::JSONBOID);
                    if value.is_some_and(|value| !value.fits(limit)) {
                        return true;
                    }
                }
            }
        }
        false
    }

    unsafe fn json(&self) -> Result<String, String> {
        // SAFETY: as for the whole row.
        unsafe {
            let harmless = self.columns().all(|(_, attribute)| HARMLESS.contains(&attribute.atttypid));
            match harmless {
                true => Ok(self.row_to_json()),
                false => in_subtransaction(|| self.row_to_json()).map_err(|failure| failure.problem()),
            }
        }
    }

    unsafe fn row_to_json(&self) -> String {
        // SAFETY: the text that comes of a value of this row.
        unsafe {
            let function = pg_sys::F_ROW_TO_JSON_RECORD.into();
            let json = pg_sys::OidFunctionCall1Coll(function, pg_sys::InvalidOid, self.datum());
            String::from_datum(json, false).expect("row_to_json is not null")
        }
    }
}
