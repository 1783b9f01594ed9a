//! Errors of the protocol. What a tool cannot do is no error of the protocol, but the result of the tool: a model can read
//! it and try again.

use serde_json::{Value, json};

use crate::object::Object;
use crate::revision::Revision;

const PARSE_ERROR: i64 = -32700;
const INVALID_REQUEST: i64 = -32600;
const METHOD_NOT_FOUND: i64 = -32601;
const INVALID_PARAMS: i64 = -32602;
const INTERNAL_ERROR: i64 = -32603;
const HEADER_MISMATCH: i64 = -32020;
const MISSING_CAPABILITY: i64 = -32021;
const UNSUPPORTED_REVISION: i64 = -32022;

#[derive(Debug, Clone, PartialEq)]
pub struct Failure {
    pub code: i64,
    pub message: String,
    pub data: Option<Value>,
    /// Whether the request itself is wrong, and not what it asks for.
    is_malformed: bool,
}

impl Failure {
    fn new(code: i64, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), data: None, is_malformed: true }
    }

    pub(crate) fn not_json() -> Self {
        Self::new(PARSE_ERROR, "The body is not JSON.")
    }

    pub(crate) fn not_a_request(why: &str) -> Self {
        Self::new(INVALID_REQUEST, format!("The body is not one request or notification of JSON-RPC 2.0: {why}."))
    }

    pub(crate) fn malformed(what: &str) -> Self {
        Self::new(INVALID_PARAMS, format!("The parameters are not valid: {what}."))
    }

    pub(crate) fn header_mismatch(what: &str) -> Self {
        Self::new(HEADER_MISMATCH, format!("Header mismatch: {what}."))
    }

    pub(crate) fn unsupported_revision(requested: &str) -> Self {
        let supported = Revision::ALL.map(Revision::name);
        let data = Some(json!({"supported": supported, "requested": requested}));
        Self { data, ..Self::new(UNSUPPORTED_REVISION, "Unsupported protocol version") }
    }

    pub(crate) fn unknown_method(method: &str) -> Self {
        Self::new(METHOD_NOT_FOUND, format!("Method not found: {method}"))
    }

    /// A parameter that is well formed and means nothing: an unknown tool, a cursor that is not ours.
    pub fn invalid(what: impl Into<String>) -> Self {
        Self { is_malformed: false, ..Self::new(INVALID_PARAMS, what) }
    }

    pub fn unknown_tool(name: &str) -> Self {
        Self::invalid(format!("Unknown tool: {name}"))
    }

    /// The tool cannot work with a client that does not have these capabilities, for example `{"elicitation": {}}`.
    pub fn missing_capability(capabilities: Value) -> Self {
        let data = Some(json!({"requiredCapabilities": capabilities}));
        Self { data, ..Self::new(MISSING_CAPABILITY, "The client lacks a capability that this needs.") }
    }

    pub fn internal() -> Self {
        Self { is_malformed: false, ..Self::new(INTERNAL_ERROR, "Something went wrong on this side.") }
    }

    /// Returns the HTTP status. Clients of older revisions take any status but 200 for a broken connection, so they get
    /// another one only for what they cannot have meant.
    pub(crate) fn status(&self, revision: Option<Revision>) -> u16 {
        let is_stateless = revision.is_none_or(Revision::is_stateless);
        match self.code {
            PARSE_ERROR | INVALID_REQUEST | HEADER_MISMATCH | MISSING_CAPABILITY | UNSUPPORTED_REVISION => 400,
            METHOD_NOT_FOUND if is_stateless => 404,
            INVALID_PARAMS if is_stateless && self.is_malformed => 400,
            _ => 200,
        }
    }

    pub(crate) fn to_json(&self) -> String {
        let object = Object::new().value("code", self.code).value("message", self.message.as_str());
        match &self.data {
            Some(data) => object.json("data", &data.to_string()).end(),
            None => object.end(),
        }
    }
}
