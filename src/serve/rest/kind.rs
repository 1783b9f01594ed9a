//! Which JSON type the values of a type of Postgres have.

use std::ffi::c_char;

use pgrx::pg_sys;
use serde_json::value::RawValue;

/// An array of Postgres has no more.
pub const MAX_DIMENSIONS: usize = 6;

/// Returns a JSON object with these members, of which each has a type. To JSON Schema `12.0` is an integer, and to an integer of
/// Postgres it is not: such a number is written without its fraction.
pub fn object<'a>(members: impl Iterator<Item = (&'a str, pg_sys::Oid, &'a RawValue)>) -> String {
    let members = members.map(|(name, type_oid, value)| {
        let value = if is_integer(type_oid) { whole(value.get()) } else { value.get() };
        format!("{}: {value}", serde_json::Value::from(name))
    });
    format!("{{{}}}", members.collect::<Vec<_>>().join(", "))
}

/// Whether it is a type of an extension that is no text: it may read and write any JSON, as those of shapes and vectors do.
fn is_of_extension(base: pg_sys::Oid) -> bool {
    const USER_DEFINED: c_char = b'U' as c_char;
    let (mut category, mut is_preferred) = (0, false);
    // SAFETY: looks the type up in the catalog, and writes what was found.
    unsafe { pg_sys::get_type_category_preferred(base, &raw mut category, &raw mut is_preferred) };
    base.to_u32() >= pg_sys::FirstNormalObjectId && category == USER_DEFINED
}

fn is_integer(type_oid: pg_sys::Oid) -> bool {
    // SAFETY: looks the type up in the catalog.
    matches!(unsafe { pg_sys::getBaseType(type_oid) }, pg_sys::INT2OID | pg_sys::INT4OID | pg_sys::INT8OID)
}

/// Returns a number without a fraction that is zero.
pub fn whole(number: &str) -> &str {
    match number.split_once('.') {
        Some((whole, fraction)) if fraction.bytes().all(|digit| digit == b'0') => whole,
        _ => number,
    }
}

/// The JSON type in which values of a type of Postgres are rendered.
#[derive(Debug, PartialEq, Eq)]
pub enum Kind {
    Boolean,
    /// NaN and infinity are strings.
    Number,
    Text,
    Object,
    Array(Box<Kind>),
    Any,
}

impl Kind {
    /// Returns that of a type.
    pub fn of(type_oid: pg_sys::Oid) -> Self {
        // SAFETY: looks up types in the catalog.
        let (base, element) = unsafe {
            let base = pg_sys::getBaseType(type_oid);
            (base, pg_sys::get_element_type(base))
        };
        match base {
            pg_sys::BOOLOID => Self::Boolean,
            pg_sys::INT2OID
            | pg_sys::INT4OID
            | pg_sys::INT8OID
            | pg_sys::FLOAT4OID
            | pg_sys::FLOAT8OID
            | pg_sys::NUMERICOID => Self::Number,
            pg_sys::JSONOID | pg_sys::JSONBOID => Self::Any,
            _ if element != pg_sys::InvalidOid => Self::Array(Box::new(Self::of(element))),
            // SAFETY: as above.
            _ if unsafe { pg_sys::type_is_rowtype(base) } => Self::Object,
            _ if is_of_extension(base) => Self::Any,
            _ => Self::Text,
        }
    }

    /// Whether a JSON value has this type. What is in it is not looked at.
    pub fn takes(&self, value: &RawValue) -> bool {
        let text = value.get();
        match (text.as_bytes().first().copied().unwrap_or_default(), self) {
            (_, Self::Any) | (b'n', _) => true,
            (b't' | b'f', kind) => *kind == Self::Boolean,
            (b'"', Self::Number) => matches!(text, r#""NaN""# | r#""Infinity""# | r#""-Infinity""#),
            (b'"', kind) => *kind == Self::Text,
            (b'{', kind) => *kind == Self::Object,
            (b'[', kind) => matches!(kind, Self::Array(_)),
            (_, kind) => *kind == Self::Number,
        }
    }

    /// Says what it is, in words for people.
    pub fn described(&self) -> String {
        match self {
            Self::Boolean => "true or false".into(),
            Self::Number => "a number".into(),
            Self::Text => "a string".into(),
            Self::Object => "an object".into(),
            Self::Array(kind) => match &**kind {
                Self::Boolean => "an array of true and false".into(),
                Self::Number => "an array of numbers".into(),
                Self::Text => "an array of strings".into(),
                Self::Object => "an array of objects".into(),
                _ => "an array".into(),
            },
            Self::Any => "a value".into(),
        }
    }
}
