//! The members of an object: name, type in words, description.

use maud::{Markup, html};
use serde_json::Value;

/// More choices than this are not listed.
const MOST: usize = 12;

pub fn table(schema: &Value) -> Markup {
    let properties = schema["properties"].as_object();
    let Some(properties) = properties.filter(|properties| !properties.is_empty()) else { return html! {} };
    let required: Vec<&str> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    // Those that are always there are in the order of the table; the map has lost it.
    let others = properties.keys().map(String::as_str).filter(|name| !required.contains(name));
    let names = required.iter().copied().filter(|name| properties.contains_key(*name)).chain(others);
    html! {
        details {
            summary { "Members of a row (" (properties.len()) ")" }
            dl.members {
                @for name in names {
                    div {
                        dt { code { (name) } " " span.minor { (words(&properties[name])) } }
                        dd { (properties[name]["description"].as_str().unwrap_or_default()) }
                    }
                }
            }
        }
    }
}

/// Returns the type of a member in words.
fn words(schema: &Value) -> String {
    let is_nullable = schema["type"].as_array().is_some_and(|types| types.iter().any(|of| of == "null"));
    let of = match &schema["type"] {
        Value::String(of) => Some(of.as_str()),
        Value::Array(types) => types.iter().filter_map(Value::as_str).find(|of| *of != "null"),
        _ => None,
    };
    let words = match (choices(schema), of, schema["format"].as_str()) {
        (Some(choices), ..) => choices,
        (None, Some("string"), Some("date-time")) => "time".into(),
        (None, Some("string"), Some(format)) => format.into(),
        (None, Some("string"), None) => "text".into(),
        (None, Some("array"), _) => format!("list of {}", words(&schema["items"]).trim_end_matches(" or null")),
        (None, Some(of), _) => of.into(),
        (None, None, _) => "any JSON".into(),
    };
    if is_nullable { format!("{words} or null") } else { words }
}

fn choices(schema: &Value) -> Option<String> {
    let choices: Vec<_> = schema["enum"].as_array()?.iter().filter(|choice| !choice.is_null()).collect();
    let shown = choices.iter().take(MOST).map(|choice| choice.as_str().map_or_else(|| choice.to_string(), str::to_owned));
    let mut shown: Vec<_> = shown.collect();
    if choices.len() > MOST {
        shown.push("…".into());
    }
    Some(shown.join(" | "))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::words;

    #[test]
    fn types_are_words() {
        for (schema, expected) in [
            (json!({"type": "integer", "format": "int64"}), "integer"),
            (json!({"type": ["string", "null"]}), "text or null"),
            (json!({"type": "string", "format": "date-time"}), "time"),
            (json!({"type": ["string", "null"], "enum": ["a", "b", null]}), "a | b or null"),
            (json!({"type": "array", "items": {"type": ["integer", "null"]}}), "list of integer"),
            (json!({}), "any JSON"),
        ] {
            assert_eq!(words(&schema), expected, "{schema}");
        }
    }
}
