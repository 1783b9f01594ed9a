//! Reads JSON that others have made. What is valid is read: also what this program, or a library that it uses, could do without.
//!
//! Half of a surrogate pair, which is what programs leave of a character that they have cut in two, becomes U+FFFD. Values can be deeper
//! than others can use them, and objects may have the keys by which the parser marks values: [`fault_of`] says so.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Error, Map, Number, Value};

use crate::escapes::whole_pairs;

/// What is nested more deeply is refused. The stack of a server process has room for it.
const DEEPEST: usize = 1000;

/// What is nested more deeply is not used: others read it with the limits of the parser, within values of their own.
const DEEPEST_IN_USE: usize = 100;

/// The key of the map as which the parser shows a number to a visitor, unless it is a whole one of 64 bits.
const NUMBER: &str = "$serde_json::private::Number";
const MARKS: &str = "$serde_json::private";

/// Returns why a value cannot be used.
pub fn fault_of(value: &Value) -> Option<&'static str> {
    fault_within(value, DEEPEST_IN_USE)
}

fn fault_within(value: &Value, deepest: usize) -> Option<&'static str> {
    if matches!(value, Value::Array(_) | Value::Object(_)) && deepest == 0 {
        return Some("it is nested too deeply");
    }
    match value {
        Value::Array(elements) => elements.iter().find_map(|element| fault_within(element, deepest - 1)),
        Value::Object(members) if members.keys().any(|name| name.starts_with(MARKS)) => {
            Some("it has a key that begins with $serde_json::private")
        }
        Value::Object(members) => members.values().find_map(|member| fault_within(member, deepest - 1)),
        _ => None,
    }
}

/// Reads a JSON text.
pub fn read(json: &[u8]) -> Result<Value, Error> {
    parse(json).or_else(|error| match str::from_utf8(json) {
        Ok(text) => parse(whole_pairs(text).as_bytes()),
        Err(_) => Err(error),
    })
}

fn parse(json: &[u8]) -> Result<Value, Error> {
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    deserializer.disable_recursion_limit();
    let value = Node { deepest: DEEPEST }.deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(value)
}

/// A value, in which others are nested so deeply at most.
#[derive(Clone, Copy)]
struct Node {
    deepest: usize,
}

impl Node {
    fn inner<E: serde::de::Error>(self) -> Result<Self, E> {
        let deepest = self.deepest.checked_sub(1).ok_or_else(|| E::custom("it is nested too deeply"))?;
        Ok(Self { deepest })
    }
}

impl<'de> DeserializeSeed<'de> for Node {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Value, A::Error> {
        let (inner, mut array) = (self.inner()?, Vec::new());
        while let Some(element) = elements.next_element_seed(inner)? {
            array.push(element);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            // A number that is shown as a map is not nested.
            let inner = if name == NUMBER { self } else { self.inner()? };
            object.insert(name, members.next_value_seed(inner)?);
        }
        let number = match object.get(NUMBER) {
            Some(Value::String(number)) if object.len() == 1 => number.parse::<Number>().ok(),
            _ => None,
        };
        Ok(number.map_or(Value::Object(object), Value::Number))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_of_every_kind_are_read_as_they_are() {
        let text = r#"{"a":[1,-2.50,12345678901234567890123,1e-7,true,false,null,"x\"y"],"b":{},"c":[]}"#;
        assert_eq!(read(text.as_bytes()).unwrap().to_string(), text);
        assert_eq!(read(b"[1e400, 2E+5]").unwrap().to_string(), "[1e+400,2e+5]");
        assert_eq!(read(br#"["\ud83d", "\ud83d\ude00"]"#).unwrap(), json!(["\u{FFFD}", "\u{1F600}"]));
        for text in ["", "{", "[1,]", "01", "1.", "nul", "{\"a\"}", "[1] 2", "\"\u{1}\""] {
            assert!(read(text.as_bytes()).is_err(), "{text}");
        }
        assert!(read(b"\"\xff\"").is_err());
    }

    #[test]
    fn what_is_nested_deeply_is_read_to_a_bound() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert_eq!(read(nested(DEEPEST).as_bytes()).unwrap().to_string(), nested(DEEPEST));
        for depth in [DEEPEST + 1, 1_000_000] {
            assert!(read(nested(depth).as_bytes()).unwrap_err().to_string().contains("too deeply"));
        }
    }

    #[test]
    fn what_others_cannot_use_is_said() {
        let fault = |text: &str| fault_of(&read(text.as_bytes()).unwrap());
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert_eq!(
            (fault(&nested(DEEPEST_IN_USE)), fault(r#"{"a":[1.5,{"b":"$serde_json::private"}]}"#)),
            (None, None)
        );
        assert_eq!(fault(&nested(DEEPEST_IN_USE + 1)), Some("it is nested too deeply"));
        for name in ["Number", "RawValue", ""] {
            assert!(fault(&format!(r#"[{{"a":{{"$serde_json::private::{name}":"x"}}}}]"#)).unwrap().contains("a key"));
        }
    }

    #[test]
    fn a_key_of_the_parser_is_a_key_as_any_other() {
        for text in [
            r#"{"$serde_json::private::Number":"hello"}"#,
            r#"{"$serde_json::private::Number":[1]}"#,
            r#"{"$serde_json::private::Number":"1","a":2}"#,
            r#"{"$serde_json::private::RawValue":"{"}"#,
        ] {
            assert_eq!(read(text.as_bytes()).unwrap().to_string(), text);
        }
    }
}
