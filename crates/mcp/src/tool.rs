//! How tools are described, and the pages of their list.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::object::Object;

/// Tools on one page of the list.
const PAGE: usize = 50;

#[derive(Debug, Clone, PartialEq)]
pub struct Tool {
    pub name: String,
    /// For people.
    pub title: String,
    /// For the model.
    pub description: String,
    /// JSON Schema 2020-12 of the arguments.
    pub input: Value,
    /// That of the structured result.
    pub output: Option<Value>,
    pub reads_only: bool,
    /// Whether it can change or remove what is there, and not only add to it.
    pub is_destructive: bool,
    /// Whether a second call with the same arguments changes nothing more.
    pub is_idempotent: bool,
}

impl Tool {
    pub(crate) fn to_json(&self) -> String {
        let object = Object::new()
            .value("name", self.name.as_str())
            .value("title", self.title.as_str())
            .value("description", self.description.as_str())
            .json("inputSchema", &self.input.to_string());
        let object = match &self.output {
            Some(output) => object.json("outputSchema", &output.to_string()),
            None => object,
        };
        // What a tool writes can be sent to other systems. One that reads reaches nothing but the database.
        let annotations = match self.reads_only {
            true => json!({"readOnlyHint": true, "openWorldHint": false}),
            false => json!({"readOnlyHint": false, "destructiveHint": self.is_destructive,
                            "idempotentHint": self.is_idempotent, "openWorldHint": true}),
        };
        object.value("annotations", annotations).end()
    }
}

/// Returns the page of tools that a cursor asks for, and the cursor of the next page. The tools are in the order of their
/// names. A cursor is the last name of the page before, so it holds when tools come and go.
pub fn page<'a>(tools: &'a [Tool], cursor: Option<&str>) -> Result<(&'a [Tool], Option<String>), Failure> {
    let start = match cursor {
        None => 0,
        Some(cursor) => {
            let last = decode(cursor).ok_or_else(|| Failure::invalid("The cursor is not one of this list."))?;
            tools.partition_point(|tool| tool.name <= last)
        }
    };
    let page = &tools[start..tools.len().min(start + PAGE)];
    let has_more = start + page.len() < tools.len();
    let next = page.last().filter(|_| has_more).map(|tool| URL_SAFE_NO_PAD.encode(&tool.name));
    Ok((page, next))
}

fn decode(cursor: &str) -> Option<String> {
    String::from_utf8(URL_SAFE_NO_PAD.decode(cursor).ok()?).ok().filter(|name| !name.is_empty())
}
