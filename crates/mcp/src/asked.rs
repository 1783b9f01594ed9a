//! What a message asks.

use serde_json::{Map, Value};

use crate::answer::Answer;
use crate::failure::Failure;
use crate::headers::{self, Headers};
use crate::message::{Id, Message};
use crate::revision::{self, Revision};

#[derive(Debug, PartialEq)]
pub struct Request {
    /// A notification has none.
    pub id: Option<Id>,
    pub revision: Revision,
    pub asked: Asked,
}

#[derive(Debug, PartialEq)]
pub enum Asked {
    /// What this server is and speaks.
    Discover,
    /// The same, in a handshake: the client wants to speak this revision.
    Initialize {
        revision: String,
    },
    Ping,
    ListTools {
        cursor: Option<String>,
    },
    CallTool {
        name: String,
        arguments: Map<String, Value>,
        /// The same as JSON text, as it was sent.
        arguments_text: String,
        /// What the server has given the client to keep when it asked its user something. Anybody may have written it.
        request_state: Option<String>,
        /// What the user has said to it, by the names of the questions.
        input_responses: Map<String, Value>,
        capabilities: Capabilities,
    },
    /// Nothing: the client tells something, and no answer is expected.
    Notification,
}

/// How a client can ask its user something.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// With a form.
    pub form: bool,
    /// By opening a page.
    pub page: bool,
}

/// Reads a message. The error is the answer to it.
pub fn read(headers: &[(String, String)], body: &[u8]) -> Result<Request, Answer> {
    let message =
        Message::parse(body).map_err(|unreadable| Answer::failed(unreadable.id.as_ref(), None, &unreadable.failure))?;
    if message.id.is_none() {
        return Ok(Request { id: None, revision: Revision::V2025_11_25, asked: Asked::Notification });
    }
    let failed = |revision, failure| Answer::failed(message.id.as_ref(), revision, &failure);
    let headers = Headers(headers);
    let revision = of(headers, &message).map_err(|failure| failed(None, failure))?;
    let asked = asked(headers, &message, revision).map_err(|failure| failed(Some(revision), failure))?;
    Ok(Request { id: message.id, revision, asked })
}

fn of(headers: Headers<'_>, message: &Message) -> Result<Revision, Failure> {
    revision::of(&message.method, headers.value(headers::REVISION)?, message.revision())
}

fn asked(headers: Headers<'_>, message: &Message, revision: Revision) -> Result<Asked, Failure> {
    let is_stateless = revision.is_stateless();
    if is_stateless {
        headers.check(message)?;
        check_meta(message)?;
    }
    match message.method.as_str() {
        "server/discover" if is_stateless => Ok(Asked::Discover),
        "initialize" if !is_stateless => Ok(Asked::Initialize {
            revision: text(message, "protocolVersion")?.ok_or(Failure::malformed("there is no protocolVersion"))?,
        }),
        "ping" if !is_stateless => Ok(Asked::Ping),
        "tools/list" => Ok(Asked::ListTools { cursor: text(message, "cursor")? }),
        "tools/call" => Ok(Asked::CallTool {
            name: text(message, "name")?.ok_or(Failure::malformed("there is no name"))?,
            arguments: object(message, "arguments")?,
            arguments_text: match message.params.get("arguments") {
                Some(Value::Object(_)) => message.arguments.clone().unwrap_or_else(|| "{}".to_owned()),
                _ => "{}".to_owned(),
            },
            request_state: text(message, "requestState")?,
            input_responses: object(message, "inputResponses")?,
            capabilities: Capabilities::of(message),
        }),
        method => Err(Failure::unknown_method(method)),
    }
}

/// Fails if there is not what each request of this revision has.
fn check_meta(message: &Message) -> Result<(), Failure> {
    let meta = message.meta().ok_or(Failure::malformed("there is no _meta"))?;
    for (name, is_there) in [
        ("protocolVersion", message.revision().is_some()),
        ("clientCapabilities", meta.get("io.modelcontextprotocol/clientCapabilities").is_some_and(Value::is_object)),
    ] {
        if !is_there {
            return Err(Failure::malformed(&format!("_meta has no io.modelcontextprotocol/{name}")));
        }
    }
    Ok(())
}

fn text(message: &Message, name: &str) -> Result<Option<String>, Failure> {
    match message.params.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(Failure::malformed(&format!("{name} is not text"))),
    }
}

fn object(message: &Message, name: &str) -> Result<Map<String, Value>, Failure> {
    match message.params.get(name) {
        None | Some(Value::Null) => Ok(Map::new()),
        Some(Value::Object(object)) => Ok(object.clone()),
        Some(_) => Err(Failure::malformed(&format!("{name} is not an object"))),
    }
}

impl Capabilities {
    /// Those of a client that cannot say them in each request are not known, and count as none.
    fn of(message: &Message) -> Self {
        let capabilities = message.meta().and_then(|meta| meta.get("io.modelcontextprotocol/clientCapabilities"));
        let Some(Value::Object(ways)) = capabilities.and_then(|capabilities| capabilities.get("elicitation")) else {
            return Self::default();
        };
        let (form, page) = (ways.contains_key("form"), ways.contains_key("url"));
        Self { form: form || !page, page }
    }
}
