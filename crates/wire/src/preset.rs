//! The presets: formats of requests that a subscription can choose from. A preset determines the body and the headers.
//!
//! The defaults of a preset (timeout, schedule, when to disable) are rows of `hydra.preset`, where both SQL and the
//! dispatcher read them. A delivery keeps the preset that its body was made for, even if its subscription changes to another
//! one. The body is built as text around the text of the entity, so that the entity is sent byte for byte as it was emitted.

use std::fmt::Write;
use std::sync::Arc;
use std::time::SystemTime;

use humantime::format_rfc3339_seconds;

use crate::changed::changed;
use crate::event::Event;
use crate::signature::Scheme;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preset {
    Hydra,
    XWebhook,
    /// Standard Webhooks 1.0.0.
    Standard,
}

/// What a header of a preset contains. The headers of signatures are separate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    EventType,
    DeliveryId,
    /// The time of the attempt, in unix seconds.
    Time,
    /// The id of the event, the same for all subscriptions.
    EventId,
    /// The time at which the event was emitted.
    EventTime,
    /// The change of a row that the event reports. Events that no trigger emitted have no such header.
    Operation,
}

impl Preset {
    pub const ALL: [Preset; 3] = [Preset::Hydra, Preset::XWebhook, Preset::Standard];

    pub fn as_str(self) -> &'static str {
        match self {
            Preset::Hydra => "hydra",
            Preset::XWebhook => "x_webhook",
            Preset::Standard => "standard",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|preset| preset.as_str() == name)
    }

    /// The headers of each request, except those of the signatures.
    pub fn headers(self) -> &'static [(&'static str, Field)] {
        match self {
            Preset::Hydra => &[
                ("X-Hydra-Event", Field::EventType),
                ("X-Hydra-Delivery", Field::DeliveryId),
                ("X-Hydra-Event-Id", Field::EventId),
                ("X-Hydra-Event-Time", Field::EventTime),
                ("X-Hydra-Operation", Field::Operation),
            ],
            Preset::XWebhook => &[
                ("X-Webhook-Event", Field::EventType),
                ("X-Webhook-Delivery", Field::DeliveryId),
                ("X-Webhook-Timestamp", Field::Time),
                ("X-Webhook-Event-Id", Field::EventId),
                ("X-Webhook-Event-Time", Field::EventTime),
                ("X-Webhook-Operation", Field::Operation),
            ],
            Preset::Standard => &[("webhook-id", Field::DeliveryId), ("webhook-timestamp", Field::Time)],
        }
    }

    /// The signature scheme of each request, unless the subscription has others.
    pub fn scheme(self) -> Scheme {
        match self {
            Preset::Hydra => Scheme::Hydra,
            Preset::XWebhook => Scheme::XWebhook,
            Preset::Standard => Scheme::Standard,
        }
    }

    /// The body of every attempt to deliver `event`.
    pub fn body(self, event: &Event) -> Arc<str> {
        match self {
            Preset::Hydra => hydra_body(event),
            Preset::XWebhook => flat_body("event", event),
            Preset::Standard => flat_body("type", event),
        }
    }
}

/// A body in which `data` is only the entity. If the entity is missing, `data` is an object with the reason.
fn flat_body(type_key: &str, event: &Event) -> Arc<str> {
    let mut body = String::with_capacity(event.entity.as_ref().map_or(0, String::len) + 128);
    body.push_str("{\"");
    body.push_str(type_key);
    body.push_str("\":");
    push_text(&mut body, Some(&event.event_type));
    body.push_str(",\"timestamp\":\"");
    push_time(&mut body, event.emitted_at);
    body.push_str("\",\"data\":");
    match (&event.entity, &event.entity_error) {
        (Some(entity), _) => body.push_str(entity),
        (None, why) => {
            body.push_str("{\"entity_error\":");
            push_text(&mut body, why.as_deref());
            body.push('}');
        }
    }
    body.push('}');
    body.into()
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
    if let Some(previous) = &event.previous {
        body.push_str(",\"previous\":");
        body.push_str(previous);
        body.push_str(",\"changed\":");
        body.push_str(&serde_json::json!(changed(previous, entity)).to_string());
    }
    if let Some(why) = &event.entity_error {
        body.push_str(",\"entity_error\":");
        push_text(&mut body, Some(why));
    }
    body.push_str("},\"timestamp\":\"");
    push_time(&mut body, event.emitted_at);
    body.push_str("\"}");
    body.into()
}

fn push_time(body: &mut String, time: SystemTime) {
    write!(body, "{}", format_rfc3339_seconds(time)).expect("a text can be written to");
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

/// Whether this byte needs no escape in a JSON string.
fn is_plain(byte: u8) -> bool {
    byte >= b' ' && !matches!(byte, b'"' | b'\\')
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;

    fn event() -> Event {
        Event {
            event_type: "ticket.created".into(),
            entity_type: "ticket".into(),
            entity_id: Some("7".into()),
            tenant_id: Some("t1".into()),
            entity: Some(r#"{"id": 7}"#.into()),
            entity_error: None,
            previous: None,
            emitted_at: SystemTime::UNIX_EPOCH + Duration::from_secs(1_777_487_580),
        }
    }

    #[test]
    fn a_hydra_body_has_its_keys_in_the_documented_order() {
        assert_eq!(
            &*Preset::Hydra.body(&event()),
            r#"{"event":"ticket.created","tenant_id":"t1","data":{"entity_type":"ticket","entity_id":"7","entity":{"id": 7}},"timestamp":"2026-04-29T18:33:00Z"}"#
        );
    }

    #[test]
    fn a_body_without_an_entity_says_why() {
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
    fn the_other_presets_have_the_entity_under_data() {
        assert_eq!(
            &*Preset::XWebhook.body(&event()),
            r#"{"event":"ticket.created","timestamp":"2026-04-29T18:33:00Z","data":{"id": 7}}"#
        );
        assert_eq!(
            &*Preset::Standard.body(&event()),
            r#"{"type":"ticket.created","timestamp":"2026-04-29T18:33:00Z","data":{"id": 7}}"#
        );
    }

    #[test]
    fn in_the_other_presets_the_reason_replaces_a_missing_entity() {
        let thin = Event { entity: None, entity_error: Some("over 256 kB".into()), ..event() };
        assert_eq!(
            &*Preset::XWebhook.body(&thin),
            r#"{"event":"ticket.created","timestamp":"2026-04-29T18:33:00Z","data":{"entity_error":"over 256 kB"}}"#
        );
    }

    #[test]
    fn the_row_before_the_change_follows_the_entity_if_it_was_asked_for() {
        let with = |previous: &str| Event { previous: Some(previous.into()), ..event() };
        let body = Preset::Hydra.body(&with(r#"{"id": 6}"#));
        assert!(body.contains(r#""entity":{"id": 7},"previous":{"id": 6},"changed":["id"]},"timestamp""#), "{body}");
        let body = Preset::Hydra.body(&with("null"));
        assert!(body.contains(r#""entity":{"id": 7},"previous":null,"changed":null},"timestamp""#), "{body}");
        // In the other presets, data is the entity.
        for preset in [Preset::XWebhook, Preset::Standard] {
            assert_eq!(preset.body(&with("null")), preset.body(&event()));
        }
    }

    #[test]
    fn an_entity_is_sent_byte_for_byte() {
        let entity = r#"{"b": 1.50, "a": "\u0000é", "a": null}"#;
        for preset in Preset::ALL {
            let body = preset.body(&Event { entity: Some(entity.into()), ..event() });
            assert!(body.contains(&format!("\":{entity}}}")), "{body}");
        }
    }

    #[test]
    fn presets_are_found_by_their_names() {
        assert!(Preset::ALL.into_iter().all(|preset| Preset::parse(preset.as_str()) == Some(preset)));
        assert_eq!(Preset::parse("other"), None);
    }
}
