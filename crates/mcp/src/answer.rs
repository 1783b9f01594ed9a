//! Answers, in the form that the revision of the request has.

use serde_json::{Value, json};

use crate::asked::Request;
use crate::elicitation::InputRequired;
use crate::failure::Failure;
use crate::message::Id;
use crate::object::{Object, array};
use crate::revision::Revision;
use crate::tool::Tool;

/// How long a client need not ask again which tools there are.
const FRESH_MS: u64 = 60_000;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    /// JSON; empty if there is nothing to say.
    pub body: String,
}

/// What a server says about itself.
#[derive(Debug, Clone)]
pub struct Server {
    pub name: String,
    pub title: String,
    pub version: String,
    /// For the model: how the tools are meant to be used.
    pub instructions: String,
}

/// What a tool has returned.
#[derive(Debug, Clone, Default)]
pub struct ToolResult {
    /// What the model reads.
    pub texts: Vec<String>,
    /// The same for programs: the JSON text of an object.
    pub structured: Option<String>,
    /// Whether the tool could not do it. Then the texts say why.
    pub is_error: bool,
}

impl ToolResult {
    pub fn error(text: impl Into<String>) -> Self {
        Self { texts: vec![text.into()], structured: None, is_error: true }
    }
}

impl Answer {
    pub(crate) fn failed(id: Option<&Id>, revision: Option<Revision>, failure: &Failure) -> Self {
        Self { status: failure.status(revision), body: envelope(id, "error", &failure.to_json()) }
    }
}

/// Returns a response of JSON-RPC.
pub(crate) fn envelope(id: Option<&Id>, name: &str, json: &str) -> String {
    let object = Object::new().value("jsonrpc", "2.0");
    match id {
        Some(id) => object.json("id", &id.to_string()),
        None => object,
    }
    .json(name, json)
    .end()
}

impl Request {
    /// The answer to a notification.
    pub fn noticed(&self) -> Answer {
        Answer { status: 202, body: String::new() }
    }

    pub fn pong(&self) -> Answer {
        self.answer(Object::new())
    }

    pub fn discovered(&self, server: &Server) -> Answer {
        let names = Revision::ALL.map(Revision::name);
        let result = Object::new()
            .value("resultType", "complete")
            .value("supportedVersions", names.to_vec())
            .value("capabilities", json!({"tools": {}}))
            .value("instructions", server.instructions.as_str());
        self.answer(self.cacheable(self.signed(server, result)))
    }

    /// The answer to a client that wants to speak this revision.
    pub fn initialized(&self, server: &Server, revision: &str) -> Answer {
        self.answer(
            Object::new()
                .value("protocolVersion", Revision::agreed(revision).name())
                .value("capabilities", json!({"tools": {}}))
                .json("serverInfo", &server.to_json())
                .value("instructions", server.instructions.as_str()),
        )
    }

    /// A page of the list of tools, and the cursor of the next one.
    pub fn tools<'a>(&self, server: &Server, tools: impl IntoIterator<Item = &'a Tool>, next: Option<&str>) -> Answer {
        let result = self.complete().json("tools", &array(tools.into_iter().map(Tool::to_json)));
        let result = match next {
            Some(next) => result.value("nextCursor", next),
            None => result,
        };
        self.answer(self.cacheable(self.signed(server, result)))
    }

    pub fn called(&self, server: &Server, result: &ToolResult) -> Answer {
        let text = |text: &String| Object::new().value("type", "text").value("text", text.as_str()).end();
        let object = self.complete().json("content", &array(result.texts.iter().map(text)));
        let object = match &result.structured {
            Some(structured) => object.json("structuredContent", structured),
            None => object,
        };
        self.answer(self.signed(server, object.value("isError", result.is_error)))
    }

    /// Asks the user of the client something before the tool does anything. The client calls the tool again with what the
    /// user has said. Older revisions do not have this: fails with the capability that is missing.
    pub fn input_required(&self, server: &Server, required: &InputRequired) -> Answer {
        if !self.revision.is_stateless() {
            return self.failed(&Failure::missing_capability(json!({"elicitation": {}})));
        }
        self.answer(self.signed(server, required.to_object()))
    }

    pub fn failed(&self, failure: &Failure) -> Answer {
        Answer::failed(self.id.as_ref(), Some(self.revision), failure)
    }

    fn answer(&self, result: Object) -> Answer {
        Answer { status: 200, body: envelope(self.id.as_ref(), "result", &result.end()) }
    }

    fn complete(&self) -> Object {
        if self.revision.is_stateless() { Object::new().value("resultType", "complete") } else { Object::new() }
    }

    /// Adds who answers, which older revisions say in the handshake.
    fn signed(&self, server: &Server, result: Object) -> Object {
        if !self.revision.is_stateless() {
            return result;
        }
        result.json("_meta", &Object::new().json("io.modelcontextprotocol/serverInfo", &server.to_json()).end())
    }

    /// Adds for how long and for whom a result holds: for this key alone, as others may see other tools.
    fn cacheable(&self, result: Object) -> Object {
        if !self.revision.is_stateless() {
            return result;
        }
        result.value("ttlMs", FRESH_MS).value("cacheScope", "private")
    }
}

impl Server {
    fn to_json(&self) -> String {
        let member = |text: &String| Value::from(text.as_str());
        Object::new()
            .value("name", member(&self.name))
            .value("title", member(&self.title))
            .value("version", member(&self.version))
            .end()
    }
}
