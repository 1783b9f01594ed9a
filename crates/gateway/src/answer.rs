//! Answers: what `hydra.serve` returned, and what the gateway makes itself, as HTTP.

use hyper::header::{HeaderName, HeaderValue, SET_COOKIE};
use hyper::{HeaderMap, Response, StatusCode};
use rand::random;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::body::Sent;
use crate::call::Reply;
use crate::cookie::Transport;
use crate::credentials::{Adapter, Key};
use crate::problem::Problem;
use crate::quota::Left;

/// What the settings pages may load and do: no script, and no style but our own stylesheet.
const PAGE_POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; \
    base-uri 'none'; frame-ancestors 'none'";
const DATA_POLICY: &str = "default-src 'none'; frame-ancestors 'none'";
const HTML: &str = "text/html; charset=utf-8";
const PROBLEM: &str = "application/problem+json";

pub struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    /// For the log.
    pub key: Option<i64>,
}

/// What the database says to the gateway, and not to the client.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Instructions {
    pub key: Option<Key>,
    pub adapter: Option<Adapter>,
    session: Option<String>,
    session_expires: Option<String>,
    end_session: bool,
    /// Whether the body is the model of a page.
    is_page: bool,
}

/// How an answer that is a problem is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// As JSON.
    Data,
    /// As a page of the settings.
    Settings,
    /// As a page about the API.
    Api,
}

impl Instructions {
    /// Takes the instructions out of the headers of a reply.
    pub fn take(headers: &mut Vec<(String, String)>) -> Self {
        let mut taken = Self::default();
        let (mut id, mut adapter, mut quota) = (None, None, None);
        headers.retain_mut(|(name, value)| {
            let Some(name) = name.strip_prefix("hydra-") else { return true };
            match name {
                "key" => id = value.parse().ok(),
                "adapter" => adapter = value.parse().ok(),
                "quota" => quota = value.parse().ok(),
                "session" => taken.session = Some(std::mem::take(value)),
                "session-expires" => taken.session_expires = Some(std::mem::take(value)),
                "end-session" => taken.end_session = value == "1",
                "page" => taken.is_page = value == "1",
                // From a later version of the extension.
                _ => {}
            }
            false
        });
        taken.adapter = adapter.zip(quota).map(|(id, requests_per_second)| Adapter { id, requests_per_second });
        taken.key = id.zip(quota).map(|(id, requests_per_minute)| Key { id, requests_per_minute });
        taken
    }

    /// Returns the value of Set-Cookie, if the cookie changes.
    fn cookie(&self, transport: Transport) -> Option<String> {
        if self.end_session {
            return Some(transport.forget());
        }
        let session = self.session.as_ref()?;
        let ends = OffsetDateTime::parse(self.session_expires.as_deref()?, &Rfc3339).ok()?;
        let seconds = (ends - OffsetDateTime::now_utc()).whole_seconds();
        Some(transport.keep(session, u64::try_from(seconds).unwrap_or(0)))
    }
}

impl Answer {
    pub fn text(status: u16, text: &str) -> Self {
        let headers = vec![header("content-type", "text/plain; charset=utf-8"), header("cache-control", "no-store")];
        Self { status, headers, body: text.into(), key: None }
    }

    pub fn stylesheet() -> Self {
        let headers = vec![
            header("content-type", "text/css; charset=utf-8"),
            header("cache-control", "public, max-age=31536000, immutable"),
        ];
        Self { status: 200, headers, body: pages::STYLESHEET.into(), key: None }
    }

    /// What is at the root, for a person or for a program. The same for everybody.
    pub fn root(is_page: bool) -> Self {
        let headers =
            |kind| vec![header("content-type", kind), header("cache-control", "no-store"), header("vary", "accept")];
        let (headers, body) = match is_page {
            true => (as_page(headers(HTML)), pages::root()),
            false => {
                let places = json!({"settings": "/settings", "api": "/api/v1/", "mcp": "/mcp"});
                let policy = header("content-security-policy", DATA_POLICY);
                ([headers("application/json"), vec![policy]].concat(), places.to_string())
            }
        };
        Self { status: 200, headers, body: body.into_bytes(), key: None }
    }

    /// An answer of the surface `rest`: data, or the page about the API.
    pub fn rest(reply: Reply, left: Option<Left>, instructions: &Instructions) -> Result<Self, Problem> {
        if !instructions.is_page {
            return Ok(Self::data(reply, left));
        }
        let body = rendered(&reply)?;
        let headers = [as_page(reply.headers), limits(left)].concat();
        Ok(Self { status: reply.status, headers, body, key: None })
    }

    /// Data for a program.
    pub fn data(mut reply: Reply, left: Option<Left>) -> Self {
        reply.headers.push(header("content-security-policy", DATA_POLICY));
        reply.headers.extend(limits(left));
        Self { status: reply.status, headers: reply.headers, body: reply.body.into(), key: None }
    }

    /// An answer of the surface `console`: a page, or a redirect to one.
    pub fn page(mut reply: Reply, instructions: &Instructions, transport: Transport) -> Result<Self, Problem> {
        if let Some(cookie) = instructions.cookie(transport) {
            reply.headers.push(header(SET_COOKIE.as_str(), cookie));
        }
        let kind = reply.headers.iter().find(|(name, _)| name == "content-type").map(|(_, kind)| kind.as_str());
        let body = match kind {
            _ if reply.body.is_empty() => Vec::new(),
            Some("application/json") => rendered(&reply)?,
            _ => {
                let problem: Value = serde_json::from_slice(&reply.body).map_err(|_| Problem::internal())?;
                pages::problem(&problem).into_bytes()
            }
        };
        Ok(Self { status: reply.status, headers: as_page(reply.headers), body, key: None })
    }

    /// A problem, as a page where people see it.
    pub fn problem(problem: &Problem, request_id: &str, shown: Shown) -> Self {
        let mut headers: Vec<_> = problem.headers.iter().map(|(name, value)| header(name, value.clone())).collect();
        headers.push(header("content-type", PROBLEM));
        headers.push(header("cache-control", "no-store"));
        headers.push(header("x-request-id", request_id));
        if problem.closes {
            headers.push(header("connection", "close"));
        }
        let body = problem.body(request_id);
        let (headers, body) = match shown {
            Shown::Settings => (as_page(headers), pages::problem(&body)),
            Shown::Api => (as_page(headers), pages::api_problem(&body)),
            Shown::Data => {
                headers.push(header("content-security-policy", DATA_POLICY));
                (headers, body.to_string())
            }
        };
        Self { status: problem.status, headers, body: body.into_bytes(), key: None }
    }

    pub fn status(&self) -> u16 {
        self.status
    }

    pub fn length(&self) -> usize {
        self.body.len()
    }

    pub fn request_id(&self) -> Option<&str> {
        self.headers.iter().find(|(name, _)| name == "x-request-id").map(|(_, id)| id.as_str())
    }

    pub fn into_response(self) -> Response<Sent> {
        let mut response = Response::new(Sent::new(self.body));
        *response.status_mut() = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        for (name, value) in self.headers {
            add(headers, &name, &value);
        }
        add(headers, "x-content-type-options", "nosniff");
        response
    }
}

/// Makes a page of its model.
fn rendered(reply: &Reply) -> Result<Vec<u8>, Problem> {
    let model: Value = serde_json::from_slice(&reply.body).map_err(|_| Problem::internal())?;
    let page = pages::render(&model).map_err(|error| Problem::internal().with_detail(error.to_string()))?;
    Ok(page.into_bytes())
}

fn limits(left: Option<Left>) -> Vec<(String, String)> {
    left.into_iter().flat_map(|left| left.headers()).map(|(name, value)| header(name, value)).collect()
}

fn header(name: &str, value: impl Into<String>) -> (String, String) {
    (name.into(), value.into())
}

fn as_page(mut headers: Vec<(String, String)>) -> Vec<(String, String)> {
    for (name, value) in &mut headers {
        if name == "content-type" {
            HTML.clone_into(value);
        }
    }
    headers.push(header("content-security-policy", PAGE_POLICY));
    headers.push(header("referrer-policy", "no-referrer"));
    headers.push(header("x-frame-options", "DENY"));
    headers
}

/// Adds a header, unless it is not one or says what the HTTP library says.
fn add(headers: &mut HeaderMap, name: &str, value: &str) {
    let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) else { return };
    if !matches!(name.as_str(), "content-length" | "transfer-encoding" | "date") {
        headers.append(name, value);
    }
}

/// Returns the id of a request that the database does not see: the one that it came with, or a new one.
pub fn request_id(given: Option<&str>) -> String {
    let is_fine = |id: &&str| {
        (1..=64).contains(&id.len())
            && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
    };
    given.filter(is_fine).map_or_else(|| hex::encode(random::<[u8; 16]>()), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_database_says_to_the_gateway_is_not_passed_on() {
        let mut headers = vec![
            header("content-type", "application/json"),
            header("hydra-key", "7"),
            header("hydra-quota", "600"),
            header("hydra-session", "hys_x"),
            header("hydra-session-expires", "2999-01-01T00:00:00Z"),
            header("hydra-later", "x"),
        ];
        let taken = Instructions::take(&mut headers);
        assert_eq!(headers, [header("content-type", "application/json")]);
        assert_eq!(taken.key, Some(Key { id: 7, requests_per_minute: 600 }));
        let cookie = taken.cookie(Transport::Tls).unwrap();
        assert!(cookie.starts_with("__Host-hydra=hys_x; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age="));
        let mut ended = vec![header("hydra-end-session", "1")];
        assert_eq!(
            Instructions::take(&mut ended).cookie(Transport::Loopback),
            Some("hydra=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0".into())
        );
    }

    #[test]
    fn a_request_keeps_the_id_that_it_came_with_if_it_can_be_logged() {
        assert_eq!(request_id(Some("a.B_9-")), "a.B_9-");
        let long = "a".repeat(65);
        for given in [None, Some(""), Some("a b"), Some("ä"), Some(long.as_str())] {
            assert_eq!(request_id(given).len(), 32, "{given:?}");
        }
    }

    #[test]
    fn no_header_of_an_answer_splits_it() {
        let headers = vec![header("location", "/a\r\nset-cookie: x=1"), header("content-length", "5")];
        let response = Answer { status: 200, headers, body: Vec::new(), key: None }.into_response();
        assert_eq!(response.headers().len(), 1, "{response:?}", response = response.headers());
    }
}
