//! The page about the REST API, for people. A browser does not send a key by itself, so who opens the root of the API without one
//! gets a page that says how to get a key, with a field for it. It leads to the page about what this key can do. The key is used for
//! that page alone: it is neither in its URL nor kept.
//!
//! The page without a key is the same for everybody, so it says nothing about the database.

use bytes::Bytes;
use hyper::body::Incoming;
use hyper::header::{ACCEPT, CONTENT_TYPE};
use hyper::{HeaderMap, Method, Request};
use wire::form::Form;

use crate::admission;
use crate::answer::Answer;
use crate::body;
use crate::call::Call;
use crate::exchange::Exchange;
use crate::problem::Problem;
use crate::route::Surface;

const FORM: &str = "application/x-www-form-urlencoded";
/// A form with a key is not larger.
const LARGEST: usize = 4 << 10;

fn is_root(path: &str) -> bool {
    matches!(path, "/api/v1" | "/api/v1/")
}

fn text(headers: &HeaderMap, name: hyper::header::HeaderName) -> &str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// Whether a person has opened the root of the API in a browser.
pub fn is_person(path: &str, headers: &HeaderMap) -> bool {
    is_root(path) && wants_page(headers)
}

/// Whether a browser asks, for a person.
pub fn wants_page(headers: &HeaderMap) -> bool {
    let is_html = |range: &str| range.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("text/html");
    text(headers, ACCEPT).split(',').any(is_html)
}

/// Whether a person has sent the form with the key.
pub fn is_form(request: &Request<Incoming>) -> bool {
    let kind = text(request.headers(), CONTENT_TYPE).split(';').next().unwrap_or_default().trim();
    request.method() == Method::POST
        && is_person(request.uri().path(), request.headers())
        && kind.eq_ignore_ascii_case(FORM)
}

impl Exchange<'_> {
    /// Answers the form with the key: as a browser that sent the key would be answered.
    pub async fn explain(&self, request: Request<Incoming>) -> Result<Answer, Problem> {
        // As for the settings pages: a key is not sent in the clear, and no other site sends the form.
        self.transport(&request)?;
        let (head, body) = request.into_parts();
        let settings = &self.live.settings;
        let received = body::receive(body, LARGEST, settings.request_timeout, &self.gateway.bodies).await?;
        let form = Form::parse(&received.bytes).unwrap_or_default();
        let credential = admission::credential(form.get("key"))?;
        let call = Call {
            surface: Surface::Rest.name(),
            credential: Some(credential),
            method: Method::GET.as_str().to_owned(),
            path: head.uri.path().to_owned(),
            query: None,
            headers: vec![(ACCEPT.as_str().to_owned(), "text/html".to_owned())],
            body: Bytes::new(),
            peer: Some(self.client),
        };
        self.with_key(credential, async |purpose| self.gateway.ask(&call, purpose).await).await
    }
}
