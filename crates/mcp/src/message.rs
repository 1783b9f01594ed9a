//! Messages of JSON-RPC 2.0, one at a time.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::failure::Failure;

/// What a request is called, so that its answer can be found: text, or a whole number.
#[derive(Debug, Clone, PartialEq)]
pub struct Id(Value);

impl Id {
    pub fn of(value: &Value) -> Option<Self> {
        match value {
            Value::String(_) => Some(Self(value.clone())),
            // 12.0 is a whole number, too.
            Value::Number(number) if number.as_f64().is_some_and(|number| number.fract() == 0.0) => {
                Some(Self(value.clone()))
            }
            _ => None,
        }
    }
}

/// Writes it as JSON.
impl fmt::Display for Id {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

#[derive(Debug, PartialEq)]
pub struct Message {
    /// A notification has none, and gets no answer.
    pub id: Option<Id>,
    pub method: String,
    pub params: Map<String, Value>,
    /// The text of the parameter `arguments`. A number that was read as a value could have lost digits.
    pub arguments: Option<String>,
}

/// What is wrong with a message, and the id that could be read.
#[derive(Debug, PartialEq)]
pub struct Unreadable {
    pub id: Option<Id>,
    pub failure: Failure,
}

impl Message {
    pub fn parse(text: &[u8]) -> Result<Self, Unreadable> {
        let body = serde_json::from_slice(text).map_err(|_| Failure::not_json())?;
        let Value::Object(mut body) = body else {
            return Err(Failure::not_a_request("it is not one object").into());
        };
        let id = body
            .get("id")
            .map(|id| Id::of(id).ok_or(Failure::not_a_request("its id is neither text nor a whole number")));
        let id = id.transpose()?;
        let unreadable = |failure| Unreadable { id: id.clone(), failure };
        if body.get("jsonrpc").and_then(Value::as_str) != Some("2.0") {
            return Err(unreadable(Failure::not_a_request("its jsonrpc is not \"2.0\"")));
        }
        let Some(Value::String(method)) = body.remove("method") else {
            return Err(unreadable(Failure::not_a_request("it has no method")));
        };
        let params = match body.remove("params") {
            None => Map::new(),
            Some(Value::Object(params)) => params,
            Some(_) => return Err(unreadable(Failure::malformed("they are not an object"))),
        };
        Ok(Self { id, method, params, arguments: arguments(text) })
    }

    /// Returns the metadata of the request.
    pub fn meta(&self) -> Option<&Map<String, Value>> {
        self.params.get("_meta").and_then(Value::as_object)
    }

    /// Returns the revision that the request says that it speaks.
    pub fn revision(&self) -> Option<&str> {
        self.meta()?.get("io.modelcontextprotocol/protocolVersion")?.as_str()
    }

    /// Returns the name of what the request is about, which the header `Mcp-Name` repeats.
    pub fn name(&self) -> Option<&str> {
        let field = match self.method.as_str() {
            "tools/call" | "prompts/get" => "name",
            "resources/read" => "uri",
            _ => return None,
        };
        self.params.get(field).and_then(Value::as_str)
    }
}

/// Returns the text of the arguments. Of several members with one name, the last one counts, as in a value.
fn arguments(body: &[u8]) -> Option<String> {
    let mut body: BTreeMap<String, &RawValue> = serde_json::from_slice(body).ok()?;
    let mut params: BTreeMap<String, &RawValue> = serde_json::from_str(body.remove("params")?.get()).ok()?;
    params.remove("arguments").map(|arguments| arguments.get().to_owned())
}

impl From<Failure> for Unreadable {
    fn from(failure: Failure) -> Self {
        Self { id: None, failure }
    }
}
