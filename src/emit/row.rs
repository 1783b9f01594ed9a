//! The row of a trigger as an entity.
//!
//! `row_to_json` keeps `json` columns as they are, where `to_jsonb` would refuse `\u0000` in them. What is far over the
//! limit is not rendered at all. Types that Postgres brings along cannot fail to render; others run code of their
//! owners, so a row that has one is rendered in a subtransaction.

use std::ffi::{CStr, CString};

use pgrx::FromDatum;
use pgrx::pg_sys::panic::CaughtError;
use pgrx::prelude::*;

use super::entity::{MAX_ID_BYTES, RawJsonb, Rendered, Unsendable, too_large};
use crate::refuse::refuse;

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
pub fn event_of(trigger: &PgTrigger<'_>) -> String {
    let arguments = trigger.extra_args().unwrap_or_default();
    let data = trigger.trigger_data();
    let rowwise = data.tg_event & pg_sys::TRIGGER_EVENT_ROW != 0;
    let after = data.tg_event & pg_sys::TRIGGER_EVENT_TIMINGMASK == pg_sys::TRIGGER_EVENT_AFTER;
    match <[String; 1]>::try_from(arguments) {
        Ok([event]) if rowwise && after => event,
        _ => refuse(
            PgSqlErrorCode::ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED,
            "webhook_emit_row() was not called as it can work",
            "It is for AFTER triggers FOR EACH ROW, and its one argument is an event type.",
            "CREATE TRIGGER … AFTER INSERT ON … FOR EACH ROW EXECUTE FUNCTION hydra.webhook_emit_row('ticket.created')",
        ),
    }
}

/// The row as JSON text of at most `limit` bytes: the new one, or the old one of a DELETE.
#[allow(unsafe_code)]
pub fn render(trigger: &PgTrigger<'_>, id_key: &str, limit: usize) -> Result<Rendered, Unsendable> {
    let data = trigger.trigger_data();
    let updated = data.tg_event & pg_sys::TRIGGER_EVENT_OPMASK == pg_sys::TRIGGER_EVENT_UPDATE;
    let tuple = if updated { data.tg_newtuple } else { data.tg_trigtuple };
    // SAFETY: Postgres keeps the tuple and the relation for as long as the trigger runs.
    unsafe {
        let row = Row { tuple, descriptor: (*data.tg_relation).rd_att };
        let mut rendered =
            Rendered { text: String::new(), entity_id: row.text_of(id_key), tenant_id: row.text_of("tenant_id") };
        if row.is_surely_larger_than(limit) {
            return Err(too_large(limit, rendered));
        }
        match row.json() {
            Ok(json) if json.len() <= limit => rendered.text = json,
            Ok(_) => return Err(too_large(limit, rendered)),
            Err(problem) => return Err(Unsendable { problem, rest: rendered }),
        }
        Ok(rendered)
    }
}

struct Row {
    tuple: pg_sys::HeapTuple,
    descriptor: pg_sys::TupleDesc,
}

#[allow(unsafe_code)]
impl Row {
    /// Places of the columns, from 1, with their descriptions.
    unsafe fn columns(&self) -> impl Iterator<Item = (i32, &pg_sys::FormData_pg_attribute)> {
        // SAFETY: a descriptor has as many attributes as it says.
        let attributes = unsafe { (*self.descriptor).attrs.as_slice((*self.descriptor).natts as usize) };
        (1..).zip(attributes).filter(|(_, attribute)| !attribute.attisdropped)
    }

    unsafe fn datum(&self, column: i32) -> Option<pg_sys::Datum> {
        let mut is_null = false;
        // SAFETY: a column of this row.
        let datum = unsafe { pg_sys::SPI_getbinval(self.tuple, self.descriptor, column, &raw mut is_null) };
        (!is_null).then_some(datum)
    }

    /// A column as text; `None` where it is null, not there or too long to be an id.
    unsafe fn text_of(&self, name: &str) -> Option<String> {
        let name = CString::new(name).ok()?;
        // SAFETY: the result is a C string of our own memory context, or null.
        unsafe {
            let column = pg_sys::SPI_fnumber(self.descriptor, name.as_ptr());
            let text = (column > 0).then(|| pg_sys::SPI_getvalue(self.tuple, self.descriptor, column))?;
            let text = (!text.is_null()).then(|| CStr::from_ptr(text).to_string_lossy().into_owned());
            text.filter(|text| text.len() <= MAX_ID_BYTES)
        }
    }

    /// By what is stored, without rendering; numbers of `jsonb` columns are looked at one by one.
    unsafe fn is_surely_larger_than(&self, limit: usize) -> bool {
        let mut stored = 0;
        // SAFETY: only values of variable length are measured, as what they are.
        unsafe {
            for (column, attribute) in self.columns().filter(|(_, attribute)| attribute.attlen == -1) {
                let Some(datum) = self.datum(column) else { continue };
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
            if harmless { Ok(self.row_to_json()) } else { in_subtransaction(|| self.row_to_json()) }
        }
    }

    unsafe fn row_to_json(&self) -> String {
        // SAFETY: a composite datum made of this row, and the text that comes of it.
        unsafe {
            let row = pg_sys::heap_copy_tuple_as_datum(self.tuple, self.descriptor);
            let json = pg_sys::OidFunctionCall1Coll(pg_sys::F_ROW_TO_JSON_RECORD.into(), pg_sys::InvalidOid, row);
            String::from_datum(json, false).expect("row_to_json is not null")
        }
    }
}

/// Runs what may fail so that its failure costs the caller nothing. What means to end the statement still does.
#[allow(unsafe_code)]
fn in_subtransaction(render: impl Fn() -> String) -> Result<String, String> {
    // SAFETY: the subtransaction is ended either way, and context and resource owner are put back, as PL/pgSQL does
    // around a block with an EXCEPTION clause.
    unsafe {
        let context = pg_sys::CurrentMemoryContext;
        let owner = pg_sys::CurrentResourceOwner;
        pg_sys::BeginInternalSubTransaction(std::ptr::null());
        pg_sys::MemoryContextSwitchTo(context);
        let back = move || {
            pg_sys::MemoryContextSwitchTo(context);
            pg_sys::CurrentResourceOwner = owner;
        };
        PgTryBuilder::new(std::panic::AssertUnwindSafe(|| {
            let text = render();
            pg_sys::ReleaseCurrentSubTransaction();
            back();
            Ok(text)
        }))
        .catch_others(move |error| {
            pg_sys::RollbackAndReleaseCurrentSubTransaction();
            back();
            if must_end(&error) {
                error.rethrow();
            }
            Err(problem(&error))
        })
        .execute()
    }
}

fn must_end(error: &CaughtError) -> bool {
    use PgSqlErrorCode::*;
    match error {
        CaughtError::PostgresError(report) | CaughtError::ErrorReport(report) => matches!(
            report.sql_error_code(),
            ERRCODE_QUERY_CANCELED
                | ERRCODE_ADMIN_SHUTDOWN
                | ERRCODE_CRASH_SHUTDOWN
                | ERRCODE_CANNOT_CONNECT_NOW
                | ERRCODE_DATABASE_DROPPED
        ),
        CaughtError::RustPanic { .. } => true,
    }
}

/// For the receiver. The code alone: a message can hold whatever the failing code chose to put in it.
fn problem(error: &CaughtError) -> String {
    let (CaughtError::PostgresError(report)
    | CaughtError::ErrorReport(report)
    | CaughtError::RustPanic { ereport: report, .. }) = error;
    let code = report.sql_error_code() as i32;
    // Five characters of six bits each, as Postgres packs them.
    let sqlstate: String = (0..5).map(|place| char::from(((code >> (6 * place)) & 0x3f) as u8 + b'0')).collect();
    format!("the entity cannot be rendered (SQLSTATE {sqlstate})")
}
