//! Renders a `jsonb` as JSON text, in the form in which Postgres writes it.
//!
//! The size is checked while the text is written: 16 kB of `jsonb` can hold numbers whose text has 131 MB.

use std::ffi::CStr;

use ::inbound::json;
use pgrx::callconv::{Arg, ArgAbi};
use pgrx::nullable::Nullable;
use pgrx::pg_sys::{JsonbIteratorToken as token, jbvType as kind};
use pgrx::pgrx_sql_entity_graph::metadata::{
    ArgumentError, ReturnsError, ReturnsRef, SqlMappingRef, SqlTranslatable, TypeOrigin,
};
use pgrx::prelude::*;
use pgrx::{FromDatum, IntoDatum};
use serde_json::Value;

use crate::backend::refuse::refuse;

use super::rendered::{MAX_ID_BYTES, RenderOptions, RenderResult, Rendered, Unsendable};

/// A `jsonb` as Postgres stores it, detoasted.
pub struct RawJsonb(*mut pg_sys::Jsonb);

impl RawJsonb {
    pub fn render(&self, options: RenderOptions<'_>) -> RenderResult {
        let (entity_id, tenant_id) = (self.scalar(options.id_key), self.scalar("tenant_id"));
        let rendered = Rendered { entity_id, tenant_id, ..Rendered::default() };
        match self.text(options.limit) {
            Some(text) => Ok(Rendered { text, ..rendered }),
            None => Err(Unsendable::too_large(options.limit, rendered)),
        }
    }

    pub fn datum(&self) -> pg_sys::Datum {
        self.0.into()
    }

    /// Returns the value. Fails if others could not use it.
    pub fn value(&self) -> Value {
        let text = self.text(usize::MAX).expect("it has no limit");
        let refuse = |why: &str| -> ! {
            refuse(
                PgSqlErrorCode::ERRCODE_PROGRAM_LIMIT_EXCEEDED,
                format!("a JSON value cannot be used: {why}"),
                "Its arrays and objects may be nested 100 deep.",
                "Nest them less deeply, and use other keys.",
            )
        };
        let value = json::read(text.as_bytes()).unwrap_or_else(|error| refuse(&error.to_string()));
        json::fault_of(&value).map_or(value, |why| refuse(why))
    }

    /// Returns the text if it has at most 16 bytes.
    pub fn short_text(&self) -> Option<String> {
        self.text(16)
    }

    /// Returns the size of the text; `None` if it has more than `limit` bytes.
    pub fn size(&self, limit: usize) -> Option<usize> {
        self.text(limit).map(|text| text.len())
    }

    /// Returns the value of a key of the entity, if it is a scalar and short enough to be an id.
    fn scalar(&self, key: &str) -> Option<String> {
        let length = key.len().try_into().ok()?;
        let mut value = pg_sys::JsonbValue::default();
        // SAFETY: the value was detoasted, and is an object; the result is written into `value`.
        unsafe {
            let root = &raw mut (*self.0).root;
            if (*root).header & pg_sys::JB_FOBJECT == 0 {
                return None;
            }
            let found = pg_sys::getKeyJsonValueFromContainer(root, key.as_ptr().cast(), length, &raw mut value);
            if found.is_null() || is_long_string(token::WJB_VALUE, &value, MAX_ID_BYTES) {
                return None;
            }
            scalar_text(&value).filter(|text| text.len() <= MAX_ID_BYTES)
        }
    }

    /// Returns the text; `None` if it would have more than `limit` bytes.
    pub fn text(&self, limit: usize) -> Option<String> {
        let mut renderer = Renderer::default();
        // SAFETY: the value was detoasted, and the iterator walks it to its end.
        unsafe {
            let mut iterator = pg_sys::JsonbIteratorInit(&raw mut (*self.0).root);
            let mut value = pg_sys::JsonbValue::default();
            loop {
                let step = pg_sys::JsonbIteratorNext(&raw mut iterator, &raw mut value, false);
                if step == token::WJB_DONE {
                    return Some(renderer.text);
                }
                if is_long_string(step, &value, limit) {
                    return None;
                }
                renderer.step(step, &value);
                if renderer.text.len() > limit {
                    return None;
                }
            }
        }
    }
}

#[derive(Default)]
struct Renderer {
    text: String,
    depth: usize,
    /// Whether the next element needs a comma before it.
    follows: bool,
    /// Postgres wraps a single scalar in an array that is not part of the value.
    single_scalar: bool,
}

impl Renderer {
    /// # Safety
    /// The iterator has just returned this step with this value.
    unsafe fn step(&mut self, step: token::Type, value: &pg_sys::JsonbValue) {
        match step {
            // SAFETY: the iterator says what the value is.
            token::WJB_BEGIN_ARRAY if unsafe { value.val.array.rawScalar } => self.single_scalar = true,
            token::WJB_BEGIN_ARRAY => self.open('['),
            token::WJB_BEGIN_OBJECT => self.open('{'),
            token::WJB_END_ARRAY if self.single_scalar && self.depth == 0 => {}
            token::WJB_END_ARRAY => self.close(']'),
            token::WJB_END_OBJECT => self.close('}'),
            token::WJB_KEY => {
                self.separate();
                // SAFETY: a key is a string.
                self.push_string(&unsafe { text_of(value) });
                self.text.push_str(": ");
                self.follows = false;
            }
            token::WJB_VALUE | token::WJB_ELEM => {
                self.separate();
                // SAFETY: a scalar; for a container the iterator returns its beginning instead.
                unsafe { self.push_scalar(value) };
                self.follows = true;
            }
            _ => {}
        }
    }

    fn open(&mut self, bracket: char) {
        self.separate();
        self.text.push(bracket);
        self.depth += 1;
        self.follows = false;
    }

    fn close(&mut self, bracket: char) {
        self.text.push(bracket);
        self.depth -= 1;
        self.follows = true;
    }

    fn separate(&mut self) {
        if self.follows {
            self.text.push_str(", ");
        }
    }

    /// # Safety
    /// Postgres must have filled in the value, and it must not be a container.
    unsafe fn push_scalar(&mut self, value: &pg_sys::JsonbValue) {
        // SAFETY: as the caller promises.
        match unsafe { scalar_text(value) } {
            Some(text) if value.type_ == kind::jbvString => self.push_string(&text),
            Some(text) => self.text.push_str(&text),
            None => self.text.push_str("null"),
        }
    }

    fn push_string(&mut self, text: &str) {
        self.text.push_str(&serde_json::Value::from(text).to_string());
    }
}

/// Returns whether a step has a string of more than `limit` bytes, which then does not have to be copied.
///
/// # Safety
/// The iterator has just returned this step with this value.
unsafe fn is_long_string(step: token::Type, value: &pg_sys::JsonbValue, limit: usize) -> bool {
    matches!(step, token::WJB_KEY | token::WJB_VALUE | token::WJB_ELEM)
        && value.type_ == kind::jbvString
        // SAFETY: a string, which has a length.
        && unsafe { value.val.string.len as usize } > limit
}

/// Returns a scalar as text; `None` for null and for a container.
///
/// # Safety
/// Postgres must have filled in the value.
unsafe fn scalar_text(value: &pg_sys::JsonbValue) -> Option<String> {
    // SAFETY: the type says which member of the union is valid.
    unsafe {
        match value.type_ {
            kind::jbvString => Some(text_of(value)),
            kind::jbvNumeric => Some(number_of(value)),
            kind::jbvBool => Some(value.val.boolean.to_string()),
            _ => None,
        }
    }
}

/// # Safety
/// The value must be a string.
unsafe fn text_of(value: &pg_sys::JsonbValue) -> String {
    // SAFETY: as the caller promises; the database is in UTF8.
    unsafe {
        let string = value.val.string;
        let bytes = std::slice::from_raw_parts(string.val.cast::<u8>(), string.len as usize);
        String::from_utf8_lossy(bytes).into_owned()
    }
}

/// # Safety
/// The value must be a number.
unsafe fn number_of(value: &pg_sys::JsonbValue) -> String {
    // SAFETY: as the caller promises; the result is a C string in the current memory context.
    unsafe {
        let number = pg_sys::Datum::from(value.val.numeric);
        let digits: &CStr =
            pgrx::direct_function_call(pg_sys::numeric_out, &[Some(number)]).expect("a number has digits");
        let text = digits.to_string_lossy().into_owned();
        pg_sys::pfree(digits.as_ptr().cast_mut().cast());
        text
    }
}

impl IntoDatum for RawJsonb {
    fn into_datum(self) -> Option<pg_sys::Datum> {
        Some(self.datum())
    }

    fn type_oid() -> pg_sys::Oid {
        pg_sys::JSONBOID
    }
}

impl FromDatum for RawJsonb {
    unsafe fn from_polymorphic_datum(datum: pg_sys::Datum, is_null: bool, _type: pg_sys::Oid) -> Option<Self> {
        // SAFETY: a jsonb that is not null.
        (!is_null).then(|| RawJsonb(unsafe { pg_sys::pg_detoast_datum(datum.cast_mut_ptr()).cast() }))
    }
}

// SAFETY: takes the argument through FromDatum, as the types of pgrx do.
unsafe impl<'fcx> ArgAbi<'fcx> for RawJsonb {
    unsafe fn unbox_arg_unchecked(arg: Arg<'_, 'fcx>) -> Self {
        // SAFETY: the caller says that the argument is of this type.
        unsafe { arg.unbox_arg_using_from_datum().expect("an argument that is not null") }
    }

    unsafe fn unbox_nullable_arg(arg: Arg<'_, 'fcx>) -> Nullable<Self> {
        // SAFETY: the caller says that the argument is of this type.
        unsafe { arg.unbox_arg_using_from_datum().into() }
    }
}

// SAFETY: its SQL type is jsonb, and no function returns it.
unsafe impl SqlTranslatable for RawJsonb {
    const TYPE_IDENT: &'static str = pgrx::pgrx_resolved_type!(RawJsonb);
    const TYPE_ORIGIN: TypeOrigin = TypeOrigin::External;
    const ARGUMENT_SQL: Result<SqlMappingRef, ArgumentError> = Ok(SqlMappingRef::literal("jsonb"));
    const RETURN_SQL: Result<ReturnsRef, ReturnsError> = Ok(ReturnsRef::One(SqlMappingRef::literal("jsonb")));
}
