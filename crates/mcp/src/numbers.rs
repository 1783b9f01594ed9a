//! Reads a message with numbers among the arguments that are too large to calculate with, such as `1e400`. They are valid JSON, and a
//! type of the database can have them. Each becomes its text.

use std::collections::BTreeMap;

use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// No argument is nested more deeply.
const DEEPEST: usize = 100;

type Members<'a> = BTreeMap<String, &'a RawValue>;

/// Returns a message; `None` if it has another fault.
pub fn as_texts(message: &[u8]) -> Option<Value> {
    let mut body: Members<'_> = serde_json::from_slice(message).ok()?;
    let mut params: Members<'_> = serde_json::from_str(body.remove("params")?.get()).ok()?;
    let arguments = value(params.remove("arguments")?, DEEPEST)?;
    let mut params = strict(params)?;
    params.insert("arguments".into(), arguments);
    let mut body = strict(body)?;
    body.insert("params".into(), Value::Object(params));
    Some(Value::Object(body))
}

fn strict(members: Members<'_>) -> Option<Map<String, Value>> {
    members.into_iter().map(|(name, value)| Some((name, serde_json::from_str(value.get()).ok()?))).collect()
}

fn value(raw: &RawValue, deepest: usize) -> Option<Value> {
    let (text, deepest) = (raw.get(), deepest.checked_sub(1)?);
    match text.as_bytes().first()? {
        b'{' => {
            let members: Members<'_> = serde_json::from_str(text).ok()?;
            members.into_iter().map(|(name, member)| Some((name, value(member, deepest)?))).collect()
        }
        b'[' => {
            let elements: Vec<&RawValue> = serde_json::from_str(text).ok()?;
            elements.into_iter().map(|element| value(element, deepest)).collect()
        }
        b'-' | b'0'..=b'9' => Some(serde_json::from_str(text).unwrap_or_else(|_| Value::from(text))),
        _ => serde_json::from_str(text).ok(),
    }
}
