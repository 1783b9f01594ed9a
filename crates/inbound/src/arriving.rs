//! A request as it arrives at an adapter, and its body as JSON.

use serde_json::{Map, Value};

use crate::form;
use crate::json::read;
use crate::verify::{Denied, Stage};

#[derive(Clone, Copy, Debug)]
pub struct Arriving<'a> {
    /// Upper case.
    pub method: &'a str,
    /// The configured public URL, with path and query as they were received. Never made of the header `Host`, which the
    /// sender decides.
    pub url: &'a str,
    pub headers: &'a [(String, String)],
    /// Without the `?`.
    pub query: &'a str,
    pub body: &'a [u8],
}

impl<'a> Arriving<'a> {
    /// Returns the value of a header that may come once, without the space around it.
    pub(crate) fn header(&self, name: &str) -> Result<Option<&'a str>, Twice> {
        let mut values = self.headers.iter().filter(|(given, _)| given.eq_ignore_ascii_case(name));
        match (values.next(), values.next()) {
            (_, Some(_)) => Err(Twice),
            (first, None) => Ok(first.map(|(_, value)| value.trim())),
        }
    }

    fn media_type(&self) -> &'a str {
        let value = self.header("content-type").ok().flatten().unwrap_or_default();
        value.split(';').next().unwrap_or_default().trim_end()
    }

    pub(crate) fn has_form(&self) -> bool {
        self.media_type().eq_ignore_ascii_case("application/x-www-form-urlencoded")
    }

    fn says_json(&self) -> bool {
        let media_type = self.media_type().to_ascii_lowercase();
        media_type == "application/json" || media_type.ends_with("+json")
    }
}

/// A header comes more than once, so it is not clear which value counts.
pub(crate) struct Twice;

/// Returns the body as JSON.
///
/// An object or an array is taken as it is, whatever the media type says: `curl --data` says that it sends a form. A form is
/// an object of texts, with an array where a name comes several times; a form with the single field `payload` that has
/// JSON is that JSON, as GitHub and Slack send it. Anything else is `{"body": text}`.
pub fn payload(arriving: &Arriving) -> Result<Value, Denied> {
    let body = arriving.body.trim_ascii();
    let has_braces = matches!((body.first(), body.last()), (Some(b'{'), Some(b'}')) | (Some(b'['), Some(b']')));
    if arriving.says_json() {
        return read(body).map_err(|error| not_json(&error));
    }
    if has_braces && let Ok(value) = read(body) {
        return Ok(value);
    }
    if arriving.has_form() {
        return of_form(arriving.body);
    }
    let text = str::from_utf8(arriving.body).map_err(|_| denied("the body is neither JSON nor text in UTF-8"))?;
    Ok(object([("body".to_owned(), Value::from(text))]))
}

fn of_form(body: &[u8]) -> Result<Value, Denied> {
    let fields = form::fields(body).ok_or_else(|| denied("the form has too many fields"))?;
    if let [(name, value)] = &fields[..]
        && name == b"payload"
        && let Ok(value) = read(value)
        && (value.is_object() || value.is_array())
    {
        return Ok(value);
    }
    let mut object = Map::new();
    for (name, value) in fields {
        let (Ok(name), Ok(value)) = (String::from_utf8(name), String::from_utf8(value)) else {
            return Err(denied("the form has text that is not UTF-8"));
        };
        let value = Value::from(value);
        match object.get_mut(&name) {
            None => _ = object.insert(name, value),
            Some(Value::Array(values)) => values.push(value),
            Some(first) => *first = Value::Array(vec![first.take(), value]),
        }
    }
    Ok(Value::Object(object))
}

fn object<const N: usize>(fields: [(String, Value); N]) -> Value {
    Value::Object(Map::from_iter(fields))
}

/// The message of the parser has a position and no part of the body.
fn not_json(error: &serde_json::Error) -> Denied {
    Denied { detail: Some(format!("The parser says: {error}.")), ..denied("the body is not JSON") }
}

fn denied(reason: &str) -> Denied {
    Denied::new(Stage::Body, reason)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(media_type: &str, body: &[u8]) -> Result<Value, Denied> {
        let headers = [("Content-Type".to_owned(), media_type.to_owned())];
        payload(&Arriving { method: "POST", url: "", headers: &headers, query: "", body })
    }

    const FORM: &str = "application/x-www-form-urlencoded; charset=utf-8";

    #[test]
    fn json_is_taken_as_it_is_also_if_it_says_that_it_is_a_form() {
        for media_type in ["application/json", "application/vnd.api+json; v=1", FORM, "", "text/plain"] {
            assert_eq!(read(media_type, b" {\"a\": [1]}\n"), Ok(json!({"a": [1]})), "{media_type}");
        }
        assert_eq!(read("application/json", b"7"), Ok(json!(7)));
        assert_eq!(read("text/plain", b"7"), Ok(json!({"body": "7"})));
    }

    #[test]
    fn a_form_is_an_object_and_a_field_that_comes_twice_an_array() {
        assert_eq!(read(FORM, b"a=1&b=%C3%BC+&a=2&c&a=3"), Ok(json!({"a": ["1", "2", "3"], "b": "ü ", "c": ""})));
        assert_eq!(read(FORM, b""), Ok(json!({})));
        assert_eq!(read(FORM, b"payload=%7B%22a%22%3A1%7D"), Ok(json!({"a": 1})));
        assert_eq!(read(FORM, b"payload=%7B%22a%22%3A1%7D&x=1"), Ok(json!({"payload": "{\"a\":1}", "x": "1"})));
    }

    #[test]
    fn anything_else_is_a_text() {
        assert_eq!(read("text/plain", "Größe {".as_bytes()), Ok(json!({"body": "Größe {"})));
        assert_eq!(read("", b"{not json}"), Ok(json!({"body": "{not json}"})));
        assert_eq!(read("", b""), Ok(json!({"body": ""})));
    }

    #[test]
    fn what_cannot_be_read_is_refused_and_nothing_of_it_is_repeated() {
        let denied = read("application/json", b"{\"password\": hunter2}").unwrap_err();
        assert_eq!((denied.stage, &*denied.reason), (Stage::Body, "the body is not JSON"));
        assert!(!denied.detail.unwrap().contains("hunter"));
        for (media_type, body) in [("text/plain", &b"\xff"[..]), (FORM, b"a=%ff"), ("application/json", b"")] {
            assert_eq!(read(media_type, body).unwrap_err().stage, Stage::Body);
        }
        let deep = "[".repeat(100_000) + &"]".repeat(100_000);
        assert!(read("application/json", deep.as_bytes()).is_err());
    }
}
