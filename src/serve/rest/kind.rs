//! Which JSON type the values of a type of Postgres have.
//!
//! Postgres would convert more than a caller means: an object becomes a text of JSON, and true becomes the text `true`.

use pgrx::pg_sys;
use serde_json::value::RawValue;

/// An array of Postgres has no more.
const MAX_DIMENSIONS: usize = 6;

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
            _ => Self::Text,
        }
    }

    /// Whether a JSON value is one.
    pub fn takes(&self, value: &RawValue) -> bool {
        self.takes_within(value, MAX_DIMENSIONS)
    }

    /// `dimensions`: how deep arrays may be nested.
    fn takes_within(&self, value: &RawValue, dimensions: usize) -> bool {
        let text = value.get();
        match (text.as_bytes().first().copied().unwrap_or_default(), self) {
            (_, Self::Any) | (b'n', _) => true,
            (b't' | b'f', kind) => *kind == Self::Boolean,
            (b'"', Self::Number) => matches!(text, r#""NaN""# | r#""Infinity""# | r#""-Infinity""#),
            (b'"', kind) => *kind == Self::Text,
            (b'{', kind) => *kind == Self::Object,
            (b'[', Self::Array(_)) if dimensions == 0 => false,
            (b'[', Self::Array(kind)) => serde_json::from_str::<Vec<&RawValue>>(text).is_ok_and(|elements| {
                // An array of several dimensions is an array of arrays.
                let takes = |element: &&RawValue| match element.get().starts_with('[') && **kind != Self::Any {
                    true => self.takes_within(element, dimensions - 1),
                    false => kind.takes_within(element, 0),
                };
                elements.iter().all(takes)
            }),
            (b'[', _) => false,
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
