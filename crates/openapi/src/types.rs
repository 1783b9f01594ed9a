//! Types of Postgres as JSON schemas: those of the values that a row has as JSON.
//!
//! A type that is not known here is a text, which is what Postgres makes of it. Formats are given where every value has them:
//! a timestamp without a time zone has no format, because `date-time` needs one. Only `infinity` is a date and a timestamp in any
//! other form.

use serde_json::{Map, Value, json};

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Type {
    /// With its number of bits.
    Integer(u8),
    /// With its values that JSON has no number for, which are texts.
    Number(&'static [&'static str]),
    Boolean,
    /// With its greatest length, if it has one.
    Text(Option<u32>),
    Uuid,
    Date,
    /// A time with a time zone.
    Instant,
    /// Any JSON.
    Json,
    /// With its members.
    Record(Vec<(String, Type)>),
    List(Box<Type>),
    /// With its name.
    Other(String),
}

/// The values of a number that are none.
const NO_NUMBERS: &[&str] = &["NaN", "Infinity", "-Infinity"];

impl Type {
    /// Reads a type off its name as `format_type` writes it. A domain must have been replaced by its base type, and what is made of
    /// other types by these.
    pub fn parse(name: &str) -> Self {
        let (base, rest) = name.split_once('(').unwrap_or((name, ""));
        let has_zone = name.ends_with("with time zone");
        match base.trim_end() {
            "smallint" => Self::Integer(16),
            "integer" => Self::Integer(32),
            "bigint" => Self::Integer(64),
            // One with a precision has no infinity.
            "numeric" if !rest.is_empty() => Self::Number(&NO_NUMBERS[..1]),
            "numeric" | "real" | "double precision" => Self::Number(NO_NUMBERS),
            "boolean" => Self::Boolean,
            "text" | "name" | "\"char\"" | "character" | "character varying" => {
                Self::Text(rest.strip_suffix(')').and_then(|length| length.parse().ok()))
            }
            "uuid" => Self::Uuid,
            "date" => Self::Date,
            "timestamp with time zone" | "timestamp" if has_zone => Self::Instant,
            "json" | "jsonb" => Self::Json,
            _ => Self::Other(name.to_owned()),
        }
    }

    pub fn schema(&self) -> Value {
        self.schema_with(or_null)
    }

    /// Returns the schema without the nulls that elements and members can be.
    pub fn schema_without_nulls(&self) -> Value {
        self.schema_with(|schema| schema)
    }

    /// `part` makes the schema of an element or a member of that of its values.
    fn schema_with(&self, part: fn(Value) -> Value) -> Value {
        match self {
            Self::Integer(16) => json!({"type": "integer", "minimum": i16::MIN, "maximum": i16::MAX}),
            Self::Integer(32) => json!({"type": "integer", "format": "int32"}),
            Self::Integer(_) => json!({"type": "integer", "format": "int64"}),
            Self::Number(texts) => json!({"anyOf": [{"type": "number"}, {"type": "string", "enum": texts}]}),
            Self::Boolean => json!({"type": "boolean"}),
            Self::Text(None) => json!({"type": "string"}),
            Self::Text(Some(longest)) => json!({"type": "string", "maxLength": longest}),
            Self::Uuid => json!({"type": "string", "format": "uuid"}),
            Self::Date => json!({"type": "string", "format": "date"}),
            Self::Instant => json!({"type": "string", "format": "date-time"}),
            Self::Json => json!({}),
            Self::Record(members) => {
                let member = |(name, of): &(String, Self)| (name.clone(), part(of.schema_with(part)));
                let members: Map<_, _> = members.iter().map(member).collect();
                json!({"type": "object", "properties": members, "additionalProperties": false})
            }
            // An array of Postgres can have nulls, but not instead of an array in it.
            Self::List(element) => match **element {
                Self::List(_) => json!({"type": "array", "items": element.schema_with(part)}),
                _ => json!({"type": "array", "items": part(element.schema_with(part))}),
            },
            Self::Other(_) => json!({"type": "string"}),
        }
    }

    /// Returns a value of a column with this name, such as people would write.
    pub fn example(&self, column: &str) -> Value {
        match self {
            Self::Integer(_) => json!(1),
            Self::Number(_) => json!(9.5),
            Self::Boolean => json!(true),
            Self::Text(_) if column.contains("email") => json!("mara@example.com"),
            Self::Text(_) if column.ends_with("url") => json!("https://example.com/"),
            Self::Text(longest) => json!(short(&words(column), *longest)),
            Self::Uuid => json!("5f2c0a4e-8f0d-4c1b-9d59-0a4a7f3a1e21"),
            Self::Date => json!("2026-11-26"),
            Self::Instant => json!("2026-11-26T09:30:00Z"),
            Self::Json | Self::Record(_) => json!({}),
            Self::List(element) => json!([element.example(column)]),
            Self::Other(name) => json!(match name.as_str() {
                "interval" => "01:30:00",
                "inet" | "cidr" => "192.0.2.1",
                "bytea" => "\\x00",
                name if name.starts_with("timestamp") => "2026-11-26T09:30:00",
                name if name.starts_with("time") => "09:30:00",
                _ => "…",
            }),
        }
    }

    /// Returns the schema of a value that others are compared with, in a parameter: there, what has parts is text of Postgres.
    pub fn compared(&self) -> Value {
        match self {
            Self::Json | Self::Record(_) | Self::List(_) => json!({"type": "string"}),
            // Every value of the type, whatever a constraint says about those that are stored.
            Self::Text(_) => Self::Text(None).schema(),
            of => of.schema(),
        }
    }

    /// Whether one value can come before another in a way that means something to people.
    pub fn has_order(&self) -> bool {
        !matches!(self, Self::Boolean | Self::Uuid | Self::Json | Self::Record(_) | Self::List(_))
    }
}

/// Returns a schema that null fits too.
pub fn or_null(mut schema: Value) -> Value {
    if let Some(name) = schema["type"].as_str() {
        schema["type"] = json!([name, "null"]);
    }
    // Not by an index, which would add the member.
    if let Some(any) = schema.get_mut("anyOf").and_then(Value::as_array_mut) {
        any.push(json!({"type": "null"}));
    }
    if let Some(choices) = schema.get_mut("enum").and_then(Value::as_array_mut) {
        choices.push(Value::Null);
    }
    schema
}

/// Returns the words of a name: `first_name` is `First name`.
fn words(name: &str) -> String {
    let words = name.replace('_', " ");
    let mut letters = words.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

fn short(text: &str, longest: Option<u32>) -> String {
    text.chars().take(longest.unwrap_or(u32::MAX) as usize).collect()
}
