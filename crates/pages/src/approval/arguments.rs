//! What a tool was called with, each argument with its name. Numbers keep the digits that were sent.

use std::fmt;

use maud::{Markup, html};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::json::indented;
use crate::visible::{block, inline, is_short, visible};

pub fn show(json: &str) -> Markup {
    let Ok(Arguments(arguments)) = serde_json::from_str(json) else { return block(json) };
    html! {
        @if arguments.is_empty() {
            p.none { "It was called without arguments." }
        } @else {
            dl.facts {
                @for (name, value) in &arguments { div { dt { code { (visible(name)) } } dd { (shown(value.get())) } } }
            }
        }
    }
}

/// A string is shown as what it says, and anything else as JSON.
fn shown(json: &str) -> Markup {
    match serde_json::from_str::<String>(json) {
        Ok(text) if text.is_empty() => html! { span.minor { "an empty text" } },
        Ok(text) if is_short(&text) => inline(&text),
        Ok(text) => block(&text),
        Err(_) if is_short(json) => html! { code { (visible(json)) } },
        Err(_) => block(&indented(json)),
    }
}

/// In the order in which they were sent. One that was sent twice is there twice.
struct Arguments<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Arguments<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Arguments<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Arguments<'de>, A::Error> {
                let mut arguments = Vec::new();
                while let Some(argument) = map.next_entry()? {
                    arguments.push(argument);
                }
                Ok(Arguments(arguments))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_have_their_names_and_say_what_was_sent() {
        let shown = show(r#"{"id": 12345678901234567890.10, "body": "<b>\u202e", "id": {"a": [1]}, "none": "", "no": null}"#);
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
    }

    #[test]
    fn what_is_no_object_is_shown_as_it_is() {
        assert!(show("[1").into_string().contains("[1</pre>"));
        assert!(show("{}").into_string().contains("without arguments"));
    }
}
