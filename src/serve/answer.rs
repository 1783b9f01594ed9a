//! An answer as the gateway gets it.

use serde_json::{Value, json};
use wire::packed;

use super::problem::Problem;

pub struct Answer {
    pub status: i32,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
    /// What a repeated request gets, if that is another body.
    repeated_body: Option<Vec<u8>>,
}

impl Answer {
    pub fn json(status: i32, body: &Value) -> Self {
        Self::json_text(status, body.to_string())
    }

    /// As [`Answer::json`], of JSON that was rendered already.
    pub fn json_text(status: i32, body: String) -> Self {
        Self::of_bytes(status, body.into_bytes()).with_header("content-type", "application/json")
    }

    /// The caller has what would be the body.
    pub fn not_modified() -> Self {
        Self::of_bytes(304, Vec::new())
    }

    pub fn no_content() -> Self {
        Self::of_bytes(204, Vec::new())
    }

    /// An answer without headers.
    pub fn of_bytes(status: i32, body: Vec<u8>) -> Self {
        Self { status, headers: Vec::new(), body, repeated_body: None }
    }

    /// An answer that another system has asked for. Its text may be that of somebody else, so no browser may take it for anything
    /// but what its type says.
    pub fn text(status: i32, content_type: &str, text: String) -> Self {
        Self::of_bytes(status, text.into_bytes())
            .with_header("content-type", content_type)
            .with_header("x-content-type-options", "nosniff")
    }

    pub fn problem(problem: &Problem, request_id: &str) -> Self {
        let mut answer = Self::json(problem.status, &problem.body(request_id));
        answer.headers = vec![("content-type", "application/problem+json".into())];
        let allow = problem.allow.map(|methods| ("allow", methods.to_owned()));
        let retry_after = problem.retry_after.map(|seconds| ("retry-after", seconds.to_string()));
        // RFC 9110 wants it with every 401.
        let challenge = match &problem.scope {
            Some(scope) => Some(format!("Bearer error=\"insufficient_scope\", scope=\"{scope}\"")),
            None => (problem.status == 401).then(|| "Bearer".to_owned()),
        };
        let challenge = challenge.map(|challenge| ("www-authenticate", challenge));
        let link = problem.link.clone().map(|link| ("link", link));
        answer.headers.extend(allow.into_iter().chain(retry_after).chain(challenge).chain(link));
        answer
    }

    /// Nothing was done. The gateway calls again, and begins a transaction for it.
    pub fn begin_wanted(request_id: &str) -> Self {
        let detail = "By default, transactions of this role and database are not READ COMMITTED and READ WRITE.";
        let problem = Problem::unavailable().with_detail(detail);
        Self::problem(&problem, request_id).with_header("hydra-begin", "1".to_owned())
    }

    pub fn see_other(location: impl Into<String>) -> Self {
        Self::of_bytes(303, Vec::new()).with_header("location", location)
    }

    /// Replaces the body by one that is shown once: a request that is repeated with the same Idempotency-Key gets the other one, and
    /// the first is stored nowhere.
    pub fn with_body_shown_once(mut self, body: Vec<u8>, repeated: Vec<u8>) -> Self {
        self.body = body;
        self.repeated_body = Some(repeated);
        self
    }

    pub fn with_header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(other, _)| *other == name).map(|(_, value)| value.as_str())
    }

    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// Returns the body that a repeated request gets.
    pub fn repeated_body(&self) -> &[u8] {
        self.repeated_body.as_ref().unwrap_or(&self.body)
    }

    /// Adds the headers that all answers have.
    pub fn with_common_headers(self, request_id: &str) -> Self {
        self.with_header("cache-control", "no-store").with_header("x-request-id", request_id)
    }

    /// Returns the columns of `hydra.serve`.
    pub fn into_columns(self) -> (i32, Value, Vec<u8>) {
        let headers = self.headers.into_iter().map(|(name, value)| json!([name, value])).collect();
        (self.status, headers, self.body)
    }

    /// Returns what `hydra.serve_packed` returns.
    pub fn packed(&self) -> Vec<u8> {
        packed::answer(self.status, &self.headers, &self.body)
    }
}
