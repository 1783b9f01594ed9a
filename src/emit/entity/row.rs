//! Renders the row of a table as an entity.
//!
//! The text has all columns of the row, or those of a [`Projection`]. `row_to_json` keeps `json` columns as they are, where `to_jsonb` would refuse `\u0000` in them. A row that is far
//! larger than the limit is not rendered at all: it is measured first, see [`Room`]. Rendering cannot fail for the common built-in types; other types run
//! code of their owners, so a row that has one is rendered in a subtransaction.

use std::ffi::CStr;

use pgrx::FromDatum;
use pgrx::prelude::*;

use super::composite::Composite;
use super::projection::{self, Projection};
use super::rendered::{MAX_ID_BYTES, Problem, RenderOptions, RenderResult, Rendered, Unsendable};
use super::room::{Form, Room};
use super::virtual_columns::{Incomplete, VirtualColumns};
use crate::backend::refuse::refuse;
use crate::backend::subtransaction::{Failure, in_subtransaction};

/// Types whose rendering runs no code of users and cannot fail.
const SAFE_TYPES: [pg_sys::Oid; 21] = [
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

/// What a statement did to one row.
pub struct Change {
    pub old: Option<Row>,
    pub new: Option<Row>,
}

pub struct Row {
    tuple: pg_sys::HeapTuple,
    descriptor: pg_sys::TupleDesc,
    /// Whether the tuple is a composite value already.
    is_value: bool,
    /// Why virtual columns are missing in the tuple.
    incomplete: Option<Incomplete>,
}

impl Change {
    /// Returns the row that is sent: the new one, or the old one of a DELETE.
    pub fn sent(&self) -> &Row {
        self.new.as_ref().or(self.old.as_ref()).expect("a change has a row")
    }

    /// Renders the row that is sent and, if asked to, the row before an UPDATE.
    pub fn render(&self, options: RenderOptions<'_>) -> RenderResult {
        let mut entity = self.sent().render(options);
        if options.previous
            && let (Some(old), Some(_)) = (&self.old, &self.new)
        {
            let parts = match &mut entity {
                Ok(rendered) => rendered,
                Err(unsendable) => &mut unsendable.rest,
            };
            parts.previous = Some(old.chosen_text(options));
        }
        entity
    }
}

impl Row {
    /// # Safety
    /// Postgres must keep the tuple, and its descriptor, which is that of a table, while this row is used. The columns
    /// must be those of this table.
    pub unsafe fn new(tuple: pg_sys::HeapTuple, descriptor: pg_sys::TupleDesc, columns: &VirtualColumns) -> Self {
        // SAFETY: as the caller promises.
        let (tuple, incomplete) = unsafe { columns.complete(tuple) };
        Self { tuple, descriptor, is_value: false, incomplete }
    }

    /// Returns the row that is a composite value. The query that returned it has computed its virtual columns.
    ///
    /// # Safety
    /// The value must stay where it is while this row is used.
    pub unsafe fn of(value: &mut Composite) -> Self {
        Self { tuple: value.tuple(), descriptor: value.descriptor(), is_value: true, incomplete: None }
    }

    fn render(&self, options: RenderOptions<'_>) -> RenderResult {
        let rendered = self.without_text(options);
        match self.chosen_text(options) {
            Ok(text) => Ok(Rendered { text, ..rendered }),
            Err(problem) => Err(Unsendable { problem, rest: Box::new(rendered) }),
        }
    }

    /// Returns the text of the columns that are sent.
    fn chosen_text(&self, options: RenderOptions<'_>) -> Result<String, Problem> {
        let RenderOptions { limit, columns, .. } = options;
        let is_chosen = |column: i32| columns.is_none_or(|columns| columns.has(column));
        if let Some(incomplete) = &self.incomplete
            && incomplete.columns.iter().any(|column| is_chosen(*column))
        {
            return Err(Problem::NotRendered(incomplete.failure.clone()));
        }
        // SAFETY: as the caller of `new` has promised.
        unsafe {
            if self.is_surely_larger_than(limit, columns) {
                return Err(Problem::TooLarge { limit });
            }
            match self.json(columns) {
                // Copied only if it is small enough: Rust aborts the process if there is no memory for a copy.
                Ok(text) if text.len() <= limit => Ok(text.to_owned()),
                Ok(_) => Err(Problem::TooLarge { limit }),
                Err(failure) => Err(Problem::NotRendered(failure)),
            }
        }
    }

    /// Returns the text of these columns; `None` if it has more than `limit` bytes. Unlike [`Change::render`], fails if they
    /// cannot be rendered.
    pub fn text(&self, columns: &Projection, limit: usize) -> Option<String> {
        // SAFETY: as the caller of `of` has promised.
        unsafe {
            if self.is_surely_larger_than(limit, Some(columns)) {
                return None;
            }
            let text = self.row_to_json(Some(columns));
            (text.len() <= limit).then(|| text.to_owned())
        }
    }

    /// Returns the id and tenant of the row, without its text.
    pub fn without_text(&self, options: RenderOptions<'_>) -> Rendered {
        // SAFETY: as the caller of `new` has promised.
        let (entity_id, tenant_id) = unsafe { (self.text_of(options.id_key), self.text_of("tenant_id")) };
        Rendered { entity_id, tenant_id, ..Rendered::default() }
    }

    /// Returns the row with all its columns. Fails if a virtual column cannot be computed: an expression must not take it
    /// for null.
    fn whole(&self) -> pg_sys::HeapTuple {
        if let Some(incomplete) = &self.incomplete {
            refuse(
                incomplete.failure.code,
                "a virtual generated column of a watched row cannot be computed",
                "The expressions of a watch are evaluated for the whole row.",
                "A query of this row shows the error of the column.",
            );
        }
        self.tuple
    }

    /// Returns the row as a value of the table's row type.
    pub fn datum(&self) -> pg_sys::Datum {
        let tuple = self.whole();
        // SAFETY: as the caller of `new` or `of` has promised; a copy is in the current memory context.
        unsafe {
            match self.is_value {
                true => pg_sys::HeapTupleHeaderGetDatum((*tuple).t_data),
                false => pg_sys::heap_copy_tuple_as_datum(tuple, self.descriptor),
            }
        }
    }

    /// Puts the row into a slot.
    ///
    /// # Safety
    /// The slot is for rows of this table, and has to be emptied before this row ends.
    pub unsafe fn store_in(&self, slot: *mut pg_sys::TupleTableSlot) {
        // SAFETY: as the caller says.
        unsafe { pg_sys::ExecStoreHeapTuple(self.whole(), slot, false) };
    }

    /// Returns the columns with their numbers, which begin with 1.
    unsafe fn columns(&self) -> impl Iterator<Item = (i32, &pg_sys::FormData_pg_attribute)> {
        // SAFETY: as the caller of `new` has promised.
        unsafe { projection::columns(self.descriptor) }
    }

    /// Returns those of the columns that are chosen.
    unsafe fn chosen(
        &self,
        columns: Option<&Projection>,
    ) -> impl Iterator<Item = (i32, &pg_sys::FormData_pg_attribute)> {
        // SAFETY: as the caller of `new` has promised.
        let all = unsafe { self.columns() };
        all.filter(move |(number, _)| columns.is_none_or(|columns| columns.has(*number)))
    }

    unsafe fn value(&self, column: i32) -> Option<pg_sys::Datum> {
        let mut is_null = false;
        // SAFETY: a column of this row.
        let datum = unsafe { pg_sys::SPI_getbinval(self.tuple, self.descriptor, column, &raw mut is_null) };
        (!is_null).then_some(datum)
    }

    /// Returns a column as text; `None` if it is null, does not exist or is too long to be an id.
    unsafe fn text_of(&self, name: &str) -> Option<String> {
        // SAFETY: a column of this row and its type. SPI returns a C string in the current memory context, or null.
        unsafe {
            let mut columns = self.columns();
            let (column, attribute) =
                columns.find(|(_, attribute)| projection::name(attribute).to_bytes() == name.as_bytes())?;
            if attribute.attlen == -1 {
                Room::new(MAX_ID_BYTES, Form::Text).take_value(self.value(column)?, attribute.atttypid)?;
            }
            // Most ids and tenants have one of the first two types. For others, Postgres looks up the output function
            // for each row.
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

    /// Returns true if the text of the columns is certainly larger than the limit, without rendering them. Only `jsonb`
    /// is rendered, up to the limit.
    unsafe fn is_surely_larger_than(&self, limit: usize, columns: Option<&Projection>) -> bool {
        let mut room = Room::new(limit, Form::Json);
        // SAFETY: only values of variable length are measured.
        unsafe {
            let mut columns = self.chosen(columns).filter(|(_, attribute)| attribute.attlen == -1);
            columns.any(|(column, attribute)| {
                self.value(column).is_some_and(|value| room.take_value(value, attribute.atttypid).is_none())
            })
        }
    }

    /// Returns the text of the columns, in the current memory context.
    unsafe fn json(&self, columns: Option<&Projection>) -> Result<&str, Failure> {
        // SAFETY: as for the whole row.
        unsafe {
            let safe = self.chosen(columns).all(|(_, attribute)| SAFE_TYPES.contains(&attribute.atttypid));
            if safe { Ok(self.row_to_json(columns)) } else { in_subtransaction(|| self.row_to_json(columns)) }
        }
    }

    unsafe fn row_to_json(&self, columns: Option<&Projection>) -> &str {
        // SAFETY: the function takes a row and returns text.
        unsafe {
            let row = match columns {
                Some(columns) if !columns.is_whole() => columns.value_of(self.tuple, self.descriptor),
                _ => self.datum(),
            };
            let function = pg_sys::F_ROW_TO_JSON_RECORD.into();
            let json = pg_sys::OidFunctionCall1Coll(function, pg_sys::InvalidOid, row);
            <&str>::from_datum(json, false).expect("row_to_json is not null")
        }
    }
}
