//! What is answered instead of an answer: a problem of RFC 9457, in the form in which `hydra.serve` makes it.

use serde_json::{Value, json};

use crate::framing::Fault;
use crate::place::Misplaced;

#[derive(Debug, Clone)]
pub struct Problem {
    pub status: u16,
    /// The end of the URI that identifies the kind of problem.
    kind: &'static str,
    title: &'static str,
    detail: Option<String>,
    hint: Option<String>,
    pub headers: Vec<(&'static str, String)>,
    /// Whether the connection cannot be used any more.
    pub closes: bool,
}

impl Problem {
    fn new(status: u16, kind: &'static str, title: &'static str) -> Self {
        Self { status, kind, title, detail: None, hint: None, headers: Vec::new(), closes: false }
    }

    /// As that of `hydra.serve`: one answer for all credentials that are not accepted.
    pub fn unauthenticated() -> Self {
        Self::new(401, "unauthenticated", "The credential is missing or not valid.")
            .with_header("www-authenticate", "Bearer")
    }

    pub fn not_found() -> Self {
        Self::new(404, "not-found", "There is no such thing here.")
    }

    pub fn method_not_allowed(allow: &'static str) -> Self {
        Self::new(405, "method-not-allowed", "The method is not allowed for this path.").with_header("allow", allow)
    }

    pub fn timed_out() -> Self {
        Self::new(408, "timed-out", "The request did not arrive in time.").closing()
    }

    pub fn too_large(limit: usize) -> Self {
        Self::new(413, "too-large", "The body is too large.")
            .with_detail(format!("A body has at most {limit} bytes."))
            .closing()
    }

    pub fn over_quota(seconds: u64) -> Self {
        Self::new(429, "quota-exceeded", "The key has used up its requests.")
            .with_detail(format!("The next request is accepted in {seconds} s."))
            .with_header("retry-after", seconds.to_string())
    }

    pub fn too_many(seconds: u64) -> Self {
        let seconds = seconds.max(1);
        Self::new(429, "quota-exceeded", "Too many requests came to this URL.")
            .with_detail(format!("The next request is accepted in {seconds} s."))
            .with_header("retry-after", seconds.to_string())
    }

    pub fn internal() -> Self {
        Self::new(500, "internal", "Something went wrong on this side.")
    }

    /// The gateway or the database has too much to do, or the database cannot be reached.
    pub fn unavailable() -> Self {
        Self::new(503, "unavailable", "The request could not be answered in time. Try again.")
            .with_header("retry-after", "1")
    }

    /// A body that ended before it was whole or is not well formed.
    pub fn broken_body() -> Self {
        Self::new(400, "malformed", "The request cannot be read.")
            .with_detail("The body ended too early, or its chunks are not well formed.")
            .closing()
    }

    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub fn with_header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The rest of the request will not be read.
    fn closing(mut self) -> Self {
        self.closes = true;
        self
    }

    /// Returns the body, as application/problem+json.
    pub fn body(&self, request_id: &str) -> Value {
        let mut body = json!({
            "type": format!("urn:hydra-webhooks:problem:{}", self.kind),
            "title": self.title,
            "status": self.status,
            "request_id": request_id,
        });
        for (name, value) in [("detail", &self.detail), ("hint", &self.hint)] {
            if let Some(value) = value {
                body[name] = json!(value);
            }
        }
        body
    }
}

impl From<Fault> for Problem {
    fn from(fault: Fault) -> Self {
        let (kind, title) = match fault.status() {
            408 => return Self::timed_out().with_detail(fault.detail()),
            431 => ("head-too-large", "The head of the request is too large."),
            505 => ("version-not-supported", "The version of HTTP is not supported."),
            _ => ("malformed", "The request cannot be read."),
        };
        Self::new(fault.status(), kind, title).with_detail(fault.detail()).closing()
    }
}

impl From<Misplaced> for Problem {
    fn from(misplaced: Misplaced) -> Self {
        match misplaced {
            Misplaced::Host => Self::new(421, "misdirected", "This host is not served here.")
                .with_detail("The Host of the request is not that of the public URL."),
            Misplaced::Plain(mend) => Self::new(403, "insecure", "These pages are shown over TLS only.")
                .with_detail("Without TLS, others could read the session of the visitor.")
                .with_hint(mend),
            Misplaced::OtherOrigin => Self::new(403, "forbidden", "This is not permitted.")
                .with_detail("The form was sent by another site.")
                .with_hint("Open the settings pages and use their form."),
            Misplaced::OtherPage => Self::new(403, "forbidden", "This is not permitted.")
                .with_detail("The request was made by a page of another site."),
        }
    }
}

/// Whether a request may be answered when it is sent again: what is said by the class of the SQLSTATE of its failure.
pub fn is_passing(sqlstate: &str) -> bool {
    matches!(sqlstate.get(..2), Some("08" | "40" | "53" | "55" | "57"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_has_the_members_of_those_of_the_database() {
        let body = Problem::unauthenticated().body("r1");
        assert_eq!(
            body.to_string(),
            r#"{"request_id":"r1","status":401,"title":"The credential is missing or not valid.","type":"urn:hydra-webhooks:problem:unauthenticated"}"#
        );
    }

    #[test]
    fn failures_that_pass_are_distinguished_by_their_class() {
        for code in ["08006", "40001", "53300", "55P03", "57014", "57P01"] {
            assert!(is_passing(code), "{code}");
        }
        for code in ["42501", "XX000", "22023", "", "é"] {
            assert!(!is_passing(code), "{code}");
        }
    }

    #[test]
    fn every_fault_has_a_problem_that_closes_the_connection() {
        for fault in Fault::ALL {
            let problem = Problem::from(fault);
            assert!(problem.closes && problem.status == fault.status(), "{fault:?}");
            assert_eq!(problem.body("")["detail"], fault.detail());
        }
    }
}
