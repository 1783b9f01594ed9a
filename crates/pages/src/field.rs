//! Fields of forms. What is refused stands at its field, and once more above the form with a link to the field.

use maud::{Markup, html};

use crate::model::{Form, Refusal};
use crate::wording;

/// Names of fields, as messages of the SQL functions and labels have them.
const LABELS: &[(&str, &str)] = &[
    ("name", "Name"),
    ("url", "URL"),
    ("event_types", "Event types"),
    ("tenant_id", "Tenant"),
    ("preset", "Format"),
    ("signatures", "Signatures"),
    ("headers", "Headers"),
    ("timeout", "Time limit"),
    ("retry_schedule", "Delays before retries"),
    ("filter", "Filter"),
    ("max_in_flight", "Requests at a time"),
    ("rate_limit", "Requests per second"),
    ("disable_after", "Failures before it is disabled"),
    ("disable_after_time", "Time that they last at least"),
    ("keep_bodies", "Keep what succeeds"),
    ("overlap", "Overlap"),
    ("scopes", "Scopes"),
    ("role", "Role"),
    ("expires_at", "Ends on"),
    ("approval", "Approval"),
    ("requests_per_minute", "Requests per minute"),
    ("description", "Description"),
    ("entity_type", "Entity type"),
    ("id_key", "Key of the id"),
    ("event", "Event type"),
    ("entity", "Entity"),
    ("provider", "Provider"),
    ("secret", "Signing secret"),
    ("mapping", "Mapping"),
    ("budget", "Time for flows before the answer"),
    ("requests_per_second", "Requests per second"),
    ("each", "Events of a request"),
    ("id_path", "Id of an event"),
    ("type_path", "Type of an event"),
    ("scheme", "Own scheme"),
    ("refused", "Request"),
    ("body", "Body"),
    ("query", "Query"),
];

pub fn label_of(field: &str) -> &str {
    // Rows of a mapping have a number, which the message says.
    let known = if field.starts_with("row_") { "mapping" } else { field };
    LABELS.iter().find(|(name, _)| *name == known).map_or(field, |(_, label)| label)
}

/// Returns a text with a capital at its start and a stop at its end.
pub fn sentence(text: &str) -> String {
    let mut letters = text.trim().chars();
    let mut sentence: String =
        letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default();
    if !sentence.ends_with(['.', '!', '?']) {
        sentence.push('.');
    }
    sentence
}

pub fn explained(refusal: &Refusal) -> Markup {
    html! {
        (wording::what(refusal))
        @for more in wording::more(refusal) { " " (more) }
    }
}

/// What is above a form that was refused.
pub fn summary(form: &Form) -> Markup {
    if form.errors.is_empty() {
        return html! {};
    }
    html! {
        div.alert.bad role="alert" aria-labelledby="refused" {
            h2 #refused { "This could not be saved" }
            ul {
                @for refusal in &form.errors {
                    li {
                        @match &refusal.field {
                            Some(field) => {
                                a href=(format!("#field-{field}")) { (label_of(field)) } ": " (wording::what(refusal))
                            }
                            None => (explained(refusal)),
                        }
                    }
                }
            }
        }
    }
}

/// The fields that have to be sent back as they are.
pub fn hidden(form: &Form) -> Markup {
    html! {
        @for (name, value) in [("once", &form.once), ("version", &form.version)] {
            @if let Some(value) = value { input type="hidden" name=(name) value=(value); }
        }
    }
}

pub fn errors(form: &Form, name: &str) -> Markup {
    html! {
        @if form.refusals(name).next().is_some() {
            div.error id=(format!("error-{name}")) {
                @for refusal in form.refusals(name) { p { (explained(refusal)) } }
            }
        }
    }
}

/// Returns the ids of what describes a field.
pub fn described_by(form: &Form, name: &str, has_hint: bool) -> Option<String> {
    let error = form.refusals(name).next().map(|_| format!("error-{name}"));
    let hint = has_hint.then(|| format!("hint-{name}"));
    let ids: Vec<String> = error.into_iter().chain(hint).collect();
    (!ids.is_empty()).then(|| ids.join(" "))
}

/// What an input looks like.
#[derive(Clone, Copy)]
pub enum Kind<'a> {
    Line { of_type: &'a str, narrow: bool },
    Lines(u8),
}

pub const LINE: Kind<'static> = Kind::Line { of_type: "text", narrow: false };
pub const SHORT: Kind<'static> = Kind::Line { of_type: "text", narrow: true };
pub const NUMBER: Kind<'static> = Kind::Line { of_type: "number", narrow: true };

/// A field with its label, a hint, and why it was refused.
pub fn input(form: &Form, name: &str, kind: Kind<'_>, hint: Markup) -> Markup {
    let has_hint = !hint.0.is_empty();
    let (id, value) = (format!("field-{name}"), form.value(name));
    let described = described_by(form, name, has_hint);
    let invalid = form.refusals(name).next().map(|_| "true");
    html! {
        div.field {
            label for=(id) { (label_of(name)) }
            @if has_hint { p.hint id=(format!("hint-{name}")) { (hint) } }
            (errors(form, name))
            @match kind {
                Kind::Line { of_type, narrow } => {
                    // A browser would not show a value that is no number.
                    @let of_type = if of_type == "number" && !is_number(value) { "text" } else { of_type };
                    input id=(id) class=[narrow.then_some("narrow")] type=(of_type) name=(name) value=(value)
                        autocomplete="off" spellcheck="false" aria-describedby=[described] aria-invalid=[invalid];
                }
                Kind::Lines(rows) => {
                    // A browser skips a newline at the start.
                    textarea id=(id) name=(name) rows=(rows) spellcheck="false" aria-describedby=[described]
                        aria-invalid=[invalid] { "\n" (value) }
                }
            }
        }
    }
}

fn is_number(value: &str) -> bool {
    value.bytes().all(|byte| byte.is_ascii_digit())
}

/// One of several values, each with its description.
///
/// `is_titled`: a heading stands above it, and says what it is.
pub fn choice(form: &Form, name: &str, is_titled: bool, hint: Markup, values: &[(&str, Markup)]) -> Markup {
    let has_hint = !hint.0.is_empty();
    html! {
        fieldset.field id=(format!("field-{name}")) aria-describedby=[described_by(form, name, has_hint)] {
            legend class=[is_titled.then_some("hidden")] { (label_of(name)) }
            @if has_hint { p.hint id=(format!("hint-{name}")) { (hint) } }
            (errors(form, name))
            @for (value, text) in values {
                label.option {
                    input type="radio" name=(name) value=(value) checked[form.value(name) == *value];
                    span { (text) }
                }
            }
        }
    }
}

/// A box that can be ticked, among several of the same field.
pub fn tick(name: &str, value: &str, is_on: bool, text: Markup) -> Markup {
    html! {
        label.option {
            input type="checkbox" name=(name) value=(value) checked[is_on];
            span { (text) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(errors: &str) -> Form {
        serde_json::from_str(&format!(
            r#"{{"values": {{"url": "\"><b>", "max_in_flight": "many"}}, "errors": {errors}}}"#
        ))
        .expect("a form")
    }

    #[test]
    fn what_is_refused_stands_at_its_field_and_above() {
        let form = form(
            r#"[{"field": "url", "message": "url must use https", "detail": "It is http.", "hint": "Use https."}]"#,
        );
        let field = input(&form, "url", LINE, html! { "Where to" }).into_string();
        assert!(field.contains(r#"aria-describedby="error-url hint-url" aria-invalid="true""#), "{field}");
        assert!(
            field.contains(r#"<div class="error" id="error-url"><p>URL must use https. It is http. Use https.</p>"#),
            "{field}"
        );
        assert!(field.contains("value=\"&quot;&gt;&lt;b&gt;\""), "{field}");
        let summary = summary(&form).into_string();
        assert!(summary.contains(r##"<a href="#field-url">URL</a>: URL must use https."##), "{summary}");
    }

    #[test]
    fn a_field_that_is_accepted_says_nothing() {
        let form = form("[]");
        let field = input(&form, "url", LINE, html! {}).into_string();
        assert!(!field.contains("aria-") && summary(&form).into_string().is_empty(), "{field}");
    }

    #[test]
    fn a_value_that_is_no_number_comes_back() {
        let field = input(&form("[]"), "max_in_flight", NUMBER, html! {}).into_string();
        assert!(field.contains(r#"type="text" name="max_in_flight" value="many""#), "{field}");
    }
}
