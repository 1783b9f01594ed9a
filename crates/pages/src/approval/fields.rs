//! The members of a JSON object, each with its name: the arguments of a tool, or the columns of a row. Numbers keep their
//! digits.

use std::fmt;

use maud::{Markup, html};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::json::indented;
use crate::visible::{block, inline, is_short, visible};

/// Shows an object.
pub fn show(json: &str) -> Markup {
    let Some(fields) = read(json) else { return block(json) };
    html! {
        dl.facts { @for (name, field) in &fields { div { dt { (label(name)) } dd { (value(field.get())) } } } }
    }
}

/// Shows which columns of a row would change, and how. Returns `None` if these are not two versions of a row.
pub fn changes(before: &str, after: &str) -> Option<Markup> {
    let (before, after) = (read(before)?, read(after)?);
    let of = |name: &str| before.iter().find(|(other, _)| other == name).map(|(_, field)| field.get());
    let (same, others): (Vec<_>, Vec<_>) = after.iter().partition(|(name, field)| of(name) == Some(field.get()));
    let changed: Vec<_> = others.iter().filter_map(|(name, field)| Some((name, of(name)?, field.get()))).collect();
    if same.is_empty() && changed.is_empty() {
        return None;
    }
    Some(html! {
        dl.facts {
            @for (name, old, new) in &changed {
                div {
                    dt { (label(name)) }
                    dd.change {
                        del { span.hidden { "from " } (value(old)) }
                        ins { span.hidden { "to " } (value(new)) }
                    }
                }
            }
        }
        @if changed.is_empty() { p.minor { "No column of the row would change." } }
    })
}

fn label(name: &str) -> Markup {
    html! { code { (visible(name)) } }
}

/// Shows a string as what it says, and anything else as JSON.
fn value(json: &str) -> Markup {
    match serde_json::from_str::<String>(json) {
        Ok(text) if text.is_empty() => html! { span.minor { "an empty text" } },
        Ok(text) if is_short(&text) => inline(&text),
        Ok(text) => block(&text),
        Err(_) if is_short(json) => html! { code { (visible(json)) } },
        Err(_) => block(&indented(json)),
    }
}

/// Reads an object. Returns `None` for what is none.
pub fn read(json: &str) -> Option<Vec<(String, &RawValue)>> {
    serde_json::from_str(json).ok().map(|Fields(fields)| fields)
}

/// In the order in which they were sent. One that was sent twice is there twice.
struct Fields<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Fields<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_have_their_names_and_say_what_was_sent() {
        let shown =
            show(r#"{"id": 12345678901234567890.10, "body": "<b>\u202e", "id": {"a": [1]}, "none": "", "no": null}"#);
        let shown = shown.into_string();
        for text in [
            "<dt><code>id</code></dt><dd><code>12345678901234567890.10</code>",
            "<bdi class=\"data\">&lt;b&gt;<span class=\"sign\">U+202E</span></bdi>",
            "<code>{&quot;a&quot;: [1]}</code>",
            "an empty text",
            "<code>null</code>",
        ] {
            assert!(shown.contains(text), "{text}: {shown}");
        }
        assert!(show("[1").into_string().contains("[1</pre>"), "what is no object is shown as it is");
    }

    #[test]
    fn of_two_versions_of_a_row_only_what_differs_is_shown() {
        let changed = changes(r#"{"id": 1, "status": "open", "n": 1.0}"#, r#"{"id": 1, "status": "done", "n": 1.0}"#);
        let changed = changed.unwrap().into_string();
        assert!(changed.contains("open</bdi></del><ins>") && changed.contains("done</bdi></ins>"), "{changed}");
        assert!(!changed.contains("<code>id</code>") && !changed.contains("1.0"), "{changed}");
        assert!(changes(r#"{"id": 1}"#, r#"{"id": 1}"#).unwrap().into_string().contains("No column"));
        assert!(changes(r#"{"id": 1}"#, r#"{"deleted": true}"#).is_none() && changes("1", "{}").is_none());
    }
}
