//! Makes a problem of an error of our functions: it names the field that the error is about.

use pgrx::pg_sys::panic::CaughtError;

use crate::serve::problem::{Problem, Texts};
use crate::serve::refused::{self, Fields};

/// What is refused when a webhook is resumed: it has missed events, and the request does not say what becomes of them.
pub const RESUMING: Fields = &[("subscription ", "missed")];
const HOW_TO_RESUME: &str = "Give missed: \"send\" or \"drop\".";

pub fn problem(fields: Fields, error: &CaughtError) -> Problem {
    let mut problem = Problem::of(error, Texts::Own);
    let field = problem.message.as_deref().and_then(|message| refused::field(fields, message));
    let Some(field) = field else { return problem };
    let (message, detail) = (problem.message.take(), problem.detail.take());
    let detail = message.into_iter().chain(detail).collect::<Vec<_>>().join(": ");
    let (code, hint) = (problem.code.take().unwrap_or_default(), problem.hint.take());
    let (mut named, why, hint) = match code.as_str() {
        "42710" => (Problem::conflict(), "taken", hint),
        "55000" => (Problem::conflict(), "required", Some(HOW_TO_RESUME.to_owned())),
        _ => (Problem::invalid(), "check", hint),
    };
    named.hint = hint;
    named.with_code(&code).with_error(field, why, detail)
}
