//! What a request gets instead of an answer: a problem of RFC 9457, made from an error of Postgres or by our own code.
//!
//! A message of Postgres can contain values of rows that the caller may not read: the key of another tenant's row, or
//! a whole row that fails a CHECK. So only the SQLSTATE of such an error is passed on. The texts of errors that the
//! application raises on purpose (RAISE EXCEPTION without a SQLSTATE, or with one that Postgres does not define) are meant to
//! be read. So are those of our own functions, which is all that the settings pages call.

use std::ops::{Deref, DerefMut};

use pgrx::pg_sys::panic::CaughtError;
use serde_json::{Value, json};

use crate::backend::{raised, subtransaction};

/// A problem. The parts are in a box, because every result of a request has room for one.
#[derive(Debug)]
pub struct Problem(Box<Parts>);

#[derive(Debug)]
pub struct Parts {
    pub status: i32,
    /// The end of the URI that identifies the kind of problem.
    kind: &'static str,
    title: &'static str,
    pub code: Option<String>,
    /// The message, if it may be shown, with detail and hint.
    pub message: Option<String>,
    pub detail: Option<String>,
    pub hint: Option<String>,
    /// Methods that the path has.
    pub allow: Option<&'static str>,
    pub retry_after: Option<u32>,
    /// Where a list goes on in spite of it, as the header Link says it.
    pub link: Option<String>,
    /// The scope that the key would need.
    pub scope: Option<String>,
    pub errors: Vec<FieldError>,
}

/// What is wrong with one field of a body, or with one parameter: its name, a short word for programs, a sentence for
/// people.
pub type FieldError = (String, String, String);

/// Whose texts an error has.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Texts {
    /// Those of our own functions.
    Own,
    /// Those of any code.
    Foreign,
}

impl Deref for Problem {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl DerefMut for Problem {
    fn deref_mut(&mut self) -> &mut Parts {
        &mut self.0
    }
}

impl Problem {
    fn new(status: i32, kind: &'static str, title: &'static str) -> Self {
        let retry_after = (status == 503).then_some(1);
        let (code, message, detail, hint) = (None, None, None, None);
        let (allow, link, scope, errors) = (None, None, None, Vec::new());
        Self(Box::new(Parts {
            status,
            kind,
            title,
            code,
            message,
            detail,
            hint,
            allow,
            retry_after,
            link,
            scope,
            errors,
        }))
    }

    pub fn bad_request() -> Self {
        Self::new(
            400,
            "bad-request",
            "The request cannot be read, or has a parameter that is not known or not accepted.",
        )
    }

    /// One answer for all credentials that are not accepted, so that it does not say which exist.
    pub fn unauthenticated() -> Self {
        Self::new(401, "unauthenticated", "The credential is missing or not valid.")
    }

    pub fn forbidden() -> Self {
        Self::new(403, "forbidden", "This is not permitted.")
    }

    /// The scope is named, so that people know which to give to the key.
    pub fn insufficient_scope(scope: &str) -> Self {
        let mut problem = Self::forbidden().with_detail(format!("The key does not have the scope {scope}."));
        problem.scope = Some(scope.to_owned());
        problem
    }

    pub fn not_found() -> Self {
        Self::new(404, "not-found", "There is no such thing here.")
    }

    pub fn method_not_allowed(allow: &'static str) -> Self {
        let mut problem = Self::new(405, "method-not-allowed", "The method is not allowed for this path.");
        problem.allow = Some(allow);
        problem
    }

    pub fn conflict() -> Self {
        Self::new(409, "conflict", "This contradicts what is there already.")
    }

    pub fn precondition_failed() -> Self {
        Self::new(412, "precondition-failed", "It has changed since it was read.")
    }

    pub fn too_large() -> Self {
        Self::new(413, "too-large", "The body is too large.")
    }

    pub fn unsupported_media_type() -> Self {
        Self::new(415, "unsupported-media-type", "The body has another format than this path reads.")
    }

    pub fn invalid() -> Self {
        Self::new(422, "invalid", "A value is not accepted.")
    }

    pub fn internal() -> Self {
        Self::new(500, "internal", "Something went wrong on this side.")
    }

    pub fn unavailable() -> Self {
        Self::new(503, "unavailable", "The request could not be answered in time. Try again.")
    }

    pub fn paused() -> Self {
        let mut problem = Self::new(503, "paused", "This is paused. Try again later.");
        problem.retry_after = Some(60);
        problem
    }

    pub fn with_code(mut self, code: &str) -> Self {
        self.code = Some(code.to_owned());
        self
    }

    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub fn with_error(mut self, field: impl Into<String>, code: impl Into<String>, detail: impl Into<String>) -> Self {
        self.errors.push((field.into(), code.into(), detail.into()));
        self
    }

    pub fn with_errors(mut self, errors: Vec<FieldError>) -> Self {
        self.errors = errors;
        self
    }

    /// Returns the problem that an error of Postgres is to the caller.
    pub fn of(error: &CaughtError, texts: Texts) -> Self {
        let report = subtransaction::report(error);
        let code = raised::sqlstate(error);
        let is_raised = code == "P0001" || raised::is_of_application(error);
        let mut problem = if is_raised { Self::invalid() } else { Self::of_sqlstate(&code, texts) };
        if is_raised || texts == Texts::Own && problem.status < 500 && !is_about_rows(&code) {
            problem.message = Some(report.message().to_owned());
            problem.detail = report.detail().map(str::to_owned);
            problem.hint = report.hint().map(str::to_owned);
        }
        problem.code = Some(code);
        problem
    }

    /// Makes the problem of an error of ours for another system that brings an event or a message. Whatever it is, it is to come again: what
    /// is wrong with the request itself was found before, and other answers are final.
    pub fn of_fault(error: &CaughtError) -> Self {
        let code = raised::sqlstate(error);
        let message = subtransaction::report(error).message().to_owned();
        pgrx::warning!("hydra_webhooks could not take what another system has sent (SQLSTATE {code}): {message}");
        let mut problem = Self::unavailable();
        problem.code = Some(code);
        problem
    }

    fn of_sqlstate(code: &str, texts: Texts) -> Self {
        let own = texts == Texts::Own;
        match code {
            "25006" => Self::method_not_allowed("POST, PATCH, DELETE"),
            "42501" | "44000" => Self::forbidden(),
            "23503" | "23505" | "23P01" | "55000" => Self::conflict(),
            "P0002" | "02000" => Self::not_found(),
            // What our own functions raise for arguments.
            "42704" if own => Self::not_found(),
            "42710" | "42939" | "0A000" | "42601" if own => Self::invalid(),
            _ => match &code[..2] {
                "22" | "23" => Self::invalid(),
                "28" => Self::unauthenticated(),
                "54" if own => Self::invalid(),
                // F0: a file of the configuration, such as that with the keys.
                "08" | "40" | "53" | "55" | "57" | "F0" => Self::unavailable(),
                _ => Self::internal(),
            },
        }
    }

    /// Returns the body, as application/problem+json.
    pub fn body(&self, request_id: &str) -> Value {
        let mut body = json!({
            "type": format!("urn:hydra-webhooks:problem:{}", self.kind),
            "title": self.title,
            "status": self.status,
            "request_id": request_id,
        });
        let detail = match (&self.message, &self.detail) {
            (Some(message), Some(detail)) => Some(format!("{message}: {detail}")),
            (message, detail) => message.as_ref().or(detail.as_ref()).cloned(),
        };
        for (name, value) in [("code", &self.code), ("detail", &detail), ("hint", &self.hint)] {
            if let Some(value) = value {
                body[name] = json!(value);
            }
        }
        if !self.errors.is_empty() {
            let error = |(field, code, detail): &FieldError| json!({"field": field, "code": code, "detail": detail});
            body["errors"] = self.errors.iter().map(error).collect();
        }
        body
    }
}

/// Whether the texts of an error quote a row: those of violated constraints do.
fn is_about_rows(code: &str) -> bool {
    code.starts_with("23")
}
