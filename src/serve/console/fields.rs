//! Reads the fields of forms, and says which of them is refused.

use serde_json::{Value, json};
use wire::form::Form;

use crate::backend::deadline;
use crate::backend::subtransaction::{attempt, must_end};
use crate::serve::problem::{Problem, Texts};
use crate::serve::request::Request;
use crate::serve::{refused, sql};
use crate::tables;

pub use crate::serve::refused::Fields;

/// Why a field is refused, as JSON.
pub fn error(field: Option<&str>, message: &str, detail: Option<&str>, hint: Option<&str>) -> Value {
    json!({"field": field, "message": message, "detail": detail, "hint": hint})
}

/// Why a form is refused.
pub struct Refused {
    pub status: i32,
    pub errors: Vec<Value>,
}

/// Runs `body` in a subtransaction. If it fails because of a field, or because the form as a whole does not fit, returns
/// what to say about that; other problems are returned as such.
pub fn try_form<T>(fields: Fields, body: impl FnOnce() -> T) -> Result<Result<T, Refused>, Problem> {
    let error = match attempt(body) {
        Ok(result) => return Ok(Ok(result)),
        Err(error) => error,
    };
    if must_end(&error) || deadline::is_over() {
        error.rethrow();
    }
    let problem = Problem::of(&error, Texts::Own);
    let Some(message) = problem.message.clone() else { return Err(problem) };
    let field = refused::field(fields, &message);
    // What is not about a field and is no conflict is about the visitor's rights or about a thing that is gone.
    if field.is_none() && !matches!(problem.status, 409 | 422) {
        return Err(problem);
    }
    let status = if field.is_some() { 422 } else { problem.status };
    let errors = vec![self::error(field, &message, problem.detail.as_deref(), problem.hint.as_deref())];
    Ok(Err(Refused { status, errors }))
}

/// What is said of a text that cannot be converted to a type. The messages of Postgres name types, which people who fill in a
/// form need not know.
const UNREADABLE: &[(&str, &str)] = &[
    ("interval", "this is no time that can be read: write it like 8 s, 2 min or 1 day"),
    ("integer", "this is not a whole number, or it is too large"),
    ("timestamptz", "this is no date that can be read: write it like 2030-01-31"),
    ("jsonpath", "this is no filter that can be read: write it like $.priority == \"high\""),
    ("jsonb", "this is not valid JSON"),
];

/// Checks that the values of fields can be converted to their types. Returns an error for each that cannot.
pub fn check_types(form: &Form, types: &[(&str, &str)]) -> Vec<Value> {
    let wrong = types.iter().filter_map(|(field, of_type)| {
        let value = form.get(field)?.to_owned();
        refusal_of_type(&value, of_type).map(|message| error(Some(field), message, None, None))
    });
    wrong.collect()
}

/// Returns what to say if a text cannot be converted to a type.
pub fn refusal_of_type(value: &str, of_type: &str) -> Option<&'static str> {
    if refused::converts(value, of_type) {
        return None;
    }
    let words = UNREADABLE.iter().find(|(name, _)| *name == of_type).map(|(_, words)| *words);
    Some(words.expect("what is said of each type of a field"))
}

/// Checks a value with one of our functions, as the owner. Returns the error for the field.
pub fn check(field: &str, call: &str, value: &str) -> Option<Value> {
    let checked = try_form(&[], || tables::as_owner(|| sql::run(call, &[value.into()])));
    match checked {
        Ok(Err(refused)) => refused.errors.into_iter().next().map(|mut error| {
            error["field"] = json!(field);
            error
        }),
        _ => None,
    }
}

/// Notes that a form is being used. Returns why it is refused if it was used before.
pub fn use_once(request: &Request, form: &Form) -> Result<(), Refused> {
    const USE: &str = "INSERT INTO hydra.console_submission (session_hash, once) VALUES ($1, $2)
                       ON CONFLICT DO NOTHING RETURNING true";
    let (Some(once), Some(session)) = (form.get("once"), request.credential) else { return Ok(()) };
    let once: String = once.chars().filter(char::is_ascii).take(64).collect();
    let is_first: Option<bool> = tables::as_owner(|| sql::one(USE, &[session.to_vec().into(), once.into()]));
    match is_first {
        Some(_) => Ok(()),
        None => Err(Refused {
            status: 409,
            errors: vec![error(
                None,
                "this form was sent already",
                Some("It was not used a second time."),
                Some("Look at the list. To make another one, begin with a new form."),
            )],
        }),
    }
}

/// Returns a new value for the field `once`.
pub fn new_once() -> String {
    hex::encode(rand::random::<[u8; 16]>())
}

/// Whether a field was sent as the form has shown it. Then it changes nothing, also where what is stored and what is shown differ: in
/// space around it, in ends of lines, which browsers take out of a line, or in an order that has no meaning.
pub fn is_as_shown(form: &Form, field: &str, shown: &Value) -> bool {
    match shown {
        Value::Array(shown) => {
            let mut shown: Vec<&str> = shown.iter().filter_map(Value::as_str).collect();
            let mut sent = form.all(field);
            shown.sort_unstable();
            sent.sort_unstable();
            sent == shown
        }
        Value::String(shown) => form.exact(field).is_some_and(|sent| in_one_line(sent) == in_one_line(shown)),
        _ => false,
    }
}

fn in_one_line(text: &str) -> String {
    text.replace(['\r', '\n'], "")
}

/// Returns the value of a field, or the empty text.
pub fn text(form: &Form, field: &str) -> String {
    form.get(field).unwrap_or_default().to_owned()
}
