//! What a message that came as a line of text needs to be passed on as a POST: its headers, and what is answered if no
//! answer comes back.

use serde_json::Value;

use crate::answer::{Answer, envelope};
use crate::headers::{METHOD, NAME, REVISION, encode};
use crate::message::{Id, Message};
use crate::object::Object;

/// A message that is to be passed on.
#[derive(Debug)]
pub struct Passed {
    /// A notification has none, and its sender expects no answer.
    pub id: Option<Id>,
    /// The request that its sender does not want to be answered any more.
    pub cancels: Option<Id>,
    pub headers: Vec<(&'static str, String)>,
}

/// Reads a message that is to be passed on. The error is the answer to its sender.
pub fn pass(line: &[u8]) -> Result<Passed, String> {
    let message = Message::parse(line)
        .map_err(|unreadable| Answer::failed(unreadable.id.as_ref(), None, &unreadable.failure).body)?;
    let headers = [
        (REVISION, message.revision().map(encode)),
        (METHOD, Some(encode(&message.method))),
        (NAME, message.name().map(encode)),
    ];
    let headers = headers.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
    let cancels = (message.method == "notifications/cancelled").then(|| message.params.get("requestId")).flatten();
    Ok(Passed { cancels: cancels.and_then(Id::of), id: message.id, headers })
}

impl Passed {
    /// Returns what answers the message, as one line, when this HTTP answer has come back. Returns none if its sender
    /// expects none.
    pub fn answer(&self, status: u16, body: &[u8]) -> Option<String> {
        self.id.as_ref()?;
        let parsed: Value = serde_json::from_slice(body).unwrap_or_default();
        match str::from_utf8(body) {
            // JSON has line breaks between its parts only.
            Ok(text) if parsed.get("jsonrpc").is_some() => Some(text.replace(['\n', '\r'], " ")),
            _ => self.refused(status, &explanation(status, &parsed)),
        }
    }

    /// Returns what answers a message that did not get through: an HTTP status, which is no code of the protocol, and why.
    pub fn refused(&self, status: u16, why: &str) -> Option<String> {
        let error = Object::new().value("code", status).value("message", why).end();
        Some(envelope(Some(self.id.as_ref()?), "error", &error))
    }
}

/// Says what a problem of RFC 9457 says.
fn explanation(status: u16, problem: &Value) -> String {
    let member = |name: &str| problem.get(name).and_then(Value::as_str);
    match (member("title"), member("detail")) {
        (Some(title), Some(detail)) => format!("{title} {detail}"),
        (Some(title), None) => title.to_owned(),
        _ => format!("HTTP status {status}"),
    }
}
