//! What is said about a value that was refused. The messages are those of the SQL functions, for people who call them; these words
//! are for people who fill in a form.

use crate::field::{label_of, sentence};
use crate::model::Refusal;

/// How a message begins, and what is said instead of it and all that explains it.
const INSTEAD: &[(&str, &str)] = &[
    ("invalid event types", "Choose at least one event type."),
    ("event_types must not be null", "Choose at least one event type."),
    ("too many event types", "These are too many: choose whole groups instead of each of their event types."),
    ("invalid retry schedule", "Enter at most 50 delays, each of at most 7 days, such as 30 s, 2 min, 10 min."),
    ("invalid signatures", "Choose one or more of these signatures."),
    ("invalid filter", "A filter sees the entity as $, and has no variables: write it like $.priority == \"high\"."),
    (
        "the headers of subscription ",
        "The new URL is that of another endpoint, which would get the values of the headers: enter its own, or - for none.",
    ),
    ("invalid scopes", "Choose at least one scope, and at most 100."),
    ("expires_at is in the past", "This day has passed, or begins too soon: choose a later one."),
    ("invalid path in the mapping", PATH),
    ("invalid each", PATH),
    ("invalid id_path", PATH),
    ("invalid type_path", PATH),
    (
        "an inbound adapter of this provider needs a secret",
        "This provider signs its requests: enter the secret that it shows.",
    ),
];

const PATH: &str = "This is no path that can be read: write it like $.data.id, without variables.";

/// What a hint for people who use SQL has in it.
const OF_SQL: &[&str] = &["SELECT ", "GRANT ", "hydra.", "array", "Pass "];

/// What is said otherwise in a form.
const IN_FORMS: &[(&str, &str)] = &[
    (" must not be null", " must not be empty"),
    ("Omit it", "Leave it empty"),
    ("omit it", "leave it empty"),
    ("url must", "URL must"),
    ("A subscription ", "A webhook "),
    ("A value is a JSON string of", "A value has"),
];

/// What is named by its number in SQL, and is what the form is about.
const NUMBERED: &[(&str, &str)] =
    &[("subscription ", "this webhook"), ("inbound adapter ", "this adapter"), ("API key ", "this key")];

/// Returns what is wrong, as a sentence.
pub fn what(refusal: &Refusal) -> String {
    match instead(refusal) {
        Some(words) => words.into(),
        None if says_nothing(refusal) => sentence(&in_form(refusal.detail.as_deref().unwrap_or_default())),
        None => sentence(&in_form(&refusal.message)),
    }
}

/// Returns what explains it, and what to do about it.
pub fn more(refusal: &Refusal) -> Vec<String> {
    if instead(refusal).is_some() {
        return Vec::new();
    }
    let detail = refusal.detail.as_deref().filter(|_| !says_nothing(refusal)).map(in_form);
    let hint =
        refusal.hint.as_deref().filter(|hint| !is_sql(hint)).map(|hint| match hint.contains("hydra_webhooks.") {
            true => "Who runs the database can change that.".into(),
            false => in_form(hint),
        });
    detail.into_iter().chain(hint).collect()
}

/// Whether a hint is for people who use SQL. Who uses the pages has buttons instead.
pub fn is_sql(hint: &str) -> bool {
    OF_SQL.iter().any(|word| hint.contains(word))
}

fn instead(refusal: &Refusal) -> Option<&'static str> {
    INSTEAD.iter().find(|(start, _)| refusal.message.starts_with(start)).map(|(_, words)| *words)
}

/// Whether a message says only that a value is wrong, which stands at its field, and the detail says what would be right.
fn says_nothing(refusal: &Refusal) -> bool {
    refusal.message.starts_with("invalid ") && !refusal.message.contains('"') && refusal.detail.is_some()
}

/// Puts a text of a function into the words of a form.
fn in_form(text: &str) -> String {
    // The rest of such a hint is for people who call the function.
    let text = text.split_once("; webhook_update(").map_or(text.to_owned(), |(before, _)| format!("{before}."));
    let text = NUMBERED.iter().fold(text, |text, (kind, this)| without_number(&text, kind, this));
    let text = text.split(' ').map(with_label).collect::<Vec<_>>().join(" ");
    IN_FORMS.iter().fold(text, |text, (said, instead)| text.replace(said, instead))
}

fn without_number(text: &str, kind: &str, this: &str) -> String {
    let Some((before, rest)) = text.split_once(kind) else { return text.into() };
    let after = rest.trim_start_matches(|letter: char| letter.is_ascii_digit());
    if after.len() == rest.len() { text.into() } else { format!("{before}{this}{after}") }
}

/// Returns the label of a field if a word is its name in SQL.
fn with_label(word: &str) -> String {
    let name = word.trim_end_matches(['.', ',', ':', ';']);
    if !name.contains('_') { word.into() } else { format!("{}{}", label_of(name), &word[name.len()..]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(message: &str, detail: &str, hint: &str) -> Refusal {
        let given = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        Refusal { field: None, message: message.into(), detail: given(detail), hint: given(hint) }
    }

    #[test]
    fn what_is_for_people_who_call_functions_is_said_for_people_who_fill_in_a_form() {
        for ((message, detail, hint), words) in [
            (
                ("url must not be null", "A webhook has a URL.", "SELECT * FROM x;"),
                "URL must not be empty. A webhook has a URL.",
            ),
            (
                ("invalid timeout: 00:02:00", "The timeout of a whole request is between 100 ms and 60 s.", ""),
                "The timeout of a whole request is between 100 ms and 60 s.",
            ),
            (
                ("invalid retry schedule", "Not null, in a one-dimensional array.", "Use an array such as '{30 s}'."),
                "Enter at most 50 delays, each of at most 7 days, such as 30 s, 2 min, 10 min.",
            ),
            (
                ("tenant_id is too long", "It has 1025 bytes.", "Use the same key, or omit it."),
                "Tenant is too long. It has 1025 bytes. Use the same key, or leave it empty.",
            ),
            (
                ("invalid scope: \"x\"", "Scopes are <resource>:read and mcp.", ""),
                "Invalid scope: \"x\". Scopes are <resource>:read and mcp.",
            ),
            (
                ("subscription 12 cannot sign with two secrets", "", "Rotate without an overlap."),
                "This webhook cannot sign with two secrets. Rotate without an overlap.",
            ),
            (
                ("webhook URL must use https", "", "Set hydra_webhooks.allow_http to allow plain http."),
                "Webhook URL must use https. Who runs the database can change that.",
            ),
            (
                ("event type \"a.b\" is not registered", "", "SELECT hydra.x();"),
                "Event type \"a.b\" is not registered.",
            ),
        ] {
            let refusal = refusal(message, detail, hint);
            let said = [vec![what(&refusal)], more(&refusal)].concat().join(" ");
            assert_eq!(said, words);
        }
    }
}
