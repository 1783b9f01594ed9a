//! The wire contracts that a subscription can speak: what the body of a request looks like.
//!
//! The defaults that a preset sets (timeout, schedule) are rows of `hydra.preset`, where SQL and the dispatcher both
//! read them. The body is built as text around the entity's own text, so that what was emitted is sent byte for byte.

use std::sync::Arc;

use humantime::format_rfc3339_seconds;

use crate::event::Event;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preset {
    Hydra,
}

impl Preset {
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "hydra" => Some(Preset::Hydra),
            _ => None,
        }
    }

    /// The body of every attempt to deliver `event`.
    pub fn body(self, event: &Event) -> Arc<str> {
        match self {
            Preset::Hydra => hydra_body(event),
        }
    }
}

fn hydra_body(event: &Event) -> Arc<str> {
    let entity = event.entity.as_deref().unwrap_or("null");
    let mut body = String::with_capacity(entity.len() + 256);
    body.push_str("{\"event\":");
    push_text(&mut body, Some(&event.event_type));
    body.push_str(",\"tenant_id\":");
    push_text(&mut body, event.tenant_id.as_deref());
    body.push_str(",\"data\":{\"entity_type\":");
    push_text(&mut body, Some(&event.entity_type));
    body.push_str(",\"entity_id\":");
    push_text(&mut body, event.entity_id.as_deref());
    body.push_str(",\"entity\":");
    body.push_str(entity);
    if let Some(why) = &event.entity_error {
        body.push_str(",\"entity_error\":");
        push_text(&mut body, Some(why));
    }
    body.push_str("},\"timestamp\":\"");
    body.push_str(&format_rfc3339_seconds(event.emitted_at).to_string());
    body.push_str("\"}");
    body.into()
}

fn push_text(body: &mut String, text: Option<&str>) {
    match text {
        Some(text) if text.bytes().all(is_plain) => {
            body.push('"');
            body.push_str(text);
            body.push('"');
        }
        Some(text) => body.push_str(&serde_json::Value::from(text).to_string()),
        None => body.push_str("null"),
    }
}

/// Stands for itself in a JSON string.
fn is_plain(byte: u8) -> bool {
    byte >= b' ' && !matches!(byte, b'"' | b'\\')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::tests::event;

    #[test]
    fn a_hydra_body_has_the_keys_of_the_page_in_its_order() {
        assert_eq!(
            &*Preset::Hydra.body(&event()),
            r#"{"event":"ticket.created","tenant_id":"t1","data":{"entity_type":"ticket","entity_id":"7","entity":{"id": 7}},"timestamp":"2026-04-29T18:33:00Z"}"#
        );
    }

    #[test]
    fn a_thin_body_says_why_the_entity_is_not_there() {
        let thin = Event {
            entity: None,
            entity_error: Some("over \"256 kB\"".into()),
            tenant_id: None,
            entity_id: None,
            ..event()
        };
        assert_eq!(
            &*Preset::Hydra.body(&thin),
            r#"{"event":"ticket.created","tenant_id":null,"data":{"entity_type":"ticket","entity_id":null,"entity":null,"entity_error":"over \"256 kB\""},"timestamp":"2026-04-29T18:33:00Z"}"#
        );
    }

    #[test]
    fn an_entity_is_sent_byte_for_byte() {
        let entity = r#"{"b": 1.50, "a": "\u0000é", "a": null}"#;
        let body = Preset::Hydra.body(&Event { entity: Some(entity.into()), ..event() });
        assert!(body.contains(&format!("\"entity\":{entity}}}")));
    }
}
