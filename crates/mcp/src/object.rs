//! JSON objects that are written part by part. A part that is JSON text already is copied as it is: a number that was read
//! and written again could lose digits.

use serde_json::Value;

pub struct Object(String);

impl Object {
    pub fn new() -> Self {
        Self(String::from("{"))
    }

    /// Adds a member whose value is JSON text.
    pub fn json(mut self, name: &str, text: &str) -> Self {
        if self.0.len() > 1 {
            self.0.push(',');
        }
        self.0.push_str(&Value::from(name).to_string());
        self.0.push(':');
        self.0.push_str(text);
        self
    }

    pub fn value(self, name: &str, value: impl Into<Value>) -> Self {
        self.json(name, &value.into().to_string())
    }

    pub fn end(mut self) -> String {
        self.0.push('}');
        self.0
    }
}

/// Returns a JSON array of JSON texts.
pub fn array(texts: impl IntoIterator<Item = String>) -> String {
    let texts: Vec<String> = texts.into_iter().collect();
    format!("[{}]", texts.join(","))
}
