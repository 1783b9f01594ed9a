//! A request as the gateway passes it.

use serde_json::Value;
use wire::form::Form;
use wire::packed::Headers;
use wire::token;

use super::problem::Problem;

pub struct Request {
    pub surface: String,
    /// The credential, as the database stores it.
    pub credential: Option<[u8; 32]>,
    pub method: String,
    pub path: String,
    pub query: String,
    pub headers: Headers,
    /// Whether the headers could be read. Otherwise there are none.
    pub is_readable: bool,
    pub body: Vec<u8>,
    /// Identifies the request in the answer and in logs.
    pub id: String,
}

impl Request {
    #[allow(clippy::too_many_arguments)] // those of hydra.serve
    pub fn new(
        surface: Option<&str>,
        credential: Option<&[u8]>,
        method: Option<&str>,
        path: Option<&str>,
        query: Option<&str>,
        headers: Option<Headers>,
        body: Option<&[u8]>,
    ) -> Self {
        let (is_readable, headers) = (headers.is_some(), headers.unwrap_or_default());
        let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
        Self {
            surface: text(surface),
            credential: credential.filter(|credential| credential.len() == 32).map(token::stored),
            method: text(method),
            path: text(path),
            query: text(query),
            id: request_id(&headers),
            headers,
            is_readable,
            body: body.unwrap_or_default().to_vec(),
        }
    }

    /// Returns a request of the REST API that we make ourselves. Its body is JSON, or empty.
    pub fn of_api(method: &str, path: String, query: String, body: &str, id: &str) -> Self {
        let headers = match body {
            "" => Vec::new(),
            _ => vec![("content-type".to_owned(), "application/json".to_owned())],
        };
        Self {
            surface: "rest".into(),
            credential: None,
            method: method.into(),
            path,
            query,
            headers,
            is_readable: true,
            body: body.into(),
            id: id.into(),
        }
    }

    /// Whether the request reads. Then its transaction is read-only. What comes to an adapter is counted, whatever it is. Which tool
    /// a message of MCP is about, and whether that tool reads, is found out there.
    pub fn reads(&self) -> bool {
        match self.surface.as_str() {
            "inbound" | "mcp" => false,
            _ => matches!(self.method.as_str(), "GET" | "HEAD"),
        }
    }

    /// Returns the parts of the path between slashes. Neither an empty part nor an escaped one is part of a path of ours.
    pub fn segments(&self) -> Vec<&str> {
        self.path.strip_prefix('/').unwrap_or_default().split('/').collect()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.headers, name)
    }

    pub fn query(&self) -> Result<Form, Problem> {
        Form::parse(self.query.as_bytes()).ok_or_else(|| Problem::invalid().with_detail("The query cannot be read."))
    }

    /// Returns the fields of the form that was sent.
    pub fn form(&self) -> Result<Form, Problem> {
        let kind = self.header("content-type").unwrap_or("application/x-www-form-urlencoded");
        let kind = kind.split(';').next().unwrap_or_default().trim();
        if !kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            return Err(Problem::unsupported_media_type());
        }
        Form::parse(&self.body).ok_or_else(|| Problem::invalid().with_detail("The form cannot be read."))
    }

    /// Returns the JSON that was sent.
    pub fn json(&self) -> Result<Value, Problem> {
        serde_json::from_slice(&self.body).map_err(|_| Problem::invalid().with_detail("The body is not valid JSON."))
    }
}

/// Returns the headers of an array of `[name, value]`.
pub fn pairs(headers: &Value) -> Option<Headers> {
    let pair = |pair: &Value| Some((pair.get(0)?.as_str()?.to_owned(), pair.get(1)?.as_str()?.to_owned()));
    headers.as_array()?.iter().map(pair).collect()
}

fn header<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers.iter().find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}

/// Returns the id that the request came with, or a new one.
fn request_id(headers: &[(String, String)]) -> String {
    let is_fine = |id: &&str| {
        (1..=64).contains(&id.len())
            && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
    };
    match header(headers, "x-request-id").filter(is_fine) {
        Some(id) => id.to_owned(),
        None => hex::encode(rand::random::<[u8; 16]>()),
    }
}
