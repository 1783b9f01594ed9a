//! What a request contains: its body is what was emitted and nothing else, and its signatures are valid headers.
//!
//! Input, separated by `\0`, which no text in Postgres contains: event type, entity type, entity id, tenant, entity, reason
//! why it is missing, secret, a header to verify, an entry of a subscription's event types. What is missing is null.
#![no_main]

use std::time::{Duration, UNIX_EPOCH};

use http::HeaderValue;
use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};
use wire::event::Event;
use wire::event_type::{is_pattern, names};
use wire::ids::{DeliveryId, EventId, EventKey, SubscriptionId};
use wire::preset::Preset;
use wire::secret::SigningSecret;
use wire::signature::{Scheme, Signed, headers, verify};

const AT: u64 = 1_777_487_580;
const TIME: &str = "2026-04-29T18:33:00Z";

fuzz_target!(|input: &str| {
    let mut fields = input.split('\0').map(str::to_owned);
    let [event_type, entity_type] = [(); 2].map(|()| fields.next().unwrap_or_default());
    let [entity_id, tenant_id, entity, entity_error] = [(); 4].map(|()| fields.next());
    let [secret, header, wanted] = [(); 3].map(|()| fields.next().unwrap_or_default());
    pattern(&wanted, &event_type);
    let event = Event {
        event_type: event_type.into(),
        entity_type: entity_type.into(),
        entity_id: entity_id.map(Into::into),
        tenant_id: tenant_id.map(Into::into),
        entity: None,
        entity_error: Some(entity_error.unwrap_or_default()),
        previous: None,
        emitted_at: UNIX_EPOCH + Duration::from_secs(AT),
    };
    for preset in Preset::ALL {
        let body = preset.body(&event);
        assert_eq!(read(&body), thin(preset, &event), "{body}");
        signed(&body, &secret, &header);
        if let Some(entity) = &entity {
            carried(preset, &event, entity);
        }
    }
});

fn read(body: &str) -> Value {
    serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {body}"))
}

fn thin(preset: Preset, event: &Event) -> Value {
    let Event { event_type, entity_type, entity_id, tenant_id, entity_error, .. } = event;
    let (event_type, entity_type) = (&**event_type, &**entity_type);
    let (entity_id, tenant_id) = (entity_id.as_deref(), tenant_id.as_deref());
    match preset {
        Preset::Hydra => json!({
            "event": event_type,
            "tenant_id": tenant_id,
            "data": {
                "entity_type": entity_type,
                "entity_id": entity_id,
                "entity": null,
                "entity_error": entity_error,
            },
            "timestamp": TIME,
        }),
        Preset::XWebhook => json!({"event": event_type, "timestamp": TIME, "data": {"entity_error": entity_error}}),
        Preset::Standard => json!({"type": event_type, "timestamp": TIME, "data": {"entity_error": entity_error}}),
    }
}

/// The entity is in the body byte for byte, in the place where a null would be.
fn carried(preset: Preset, event: &Event, entity: &str) {
    let body_with = |entity: &str| {
        let event = Event { entity: Some(entity.to_owned()), entity_error: None, ..event.clone() };
        preset.body(&event)
    };
    let without = body_with("null");
    read(&without);
    let (head, tail) = without.rsplit_once("null").expect("the entity");
    assert_eq!(*body_with(entity), format!("{head}{entity}{tail}"));
}

fn signed(body: &str, secret: &str, header: &str) {
    let id = DeliveryId::derive(EventKey { id: EventId(body.len() as i64), ..EventKey::default() }, SubscriptionId(1));
    let secrets = [SigningSecret::from(secret.to_owned()), SigningSecret::from("whsec_b2xk".to_owned())];
    let (now, tolerance) = (UNIX_EPOCH + Duration::from_secs(AT), Duration::from_secs(300));
    for (name, value) in headers(&Scheme::ALL, &secrets, Signed { id, at: AT, body }) {
        HeaderValue::try_from(&value).expect("a header's value");
        if name == "X-Hydra-Signature" {
            assert!(secrets.iter().all(|secret| verify(body, &value, secret, tolerance, now)));
        }
    }
    assert!(!verify(body, header, &secrets[0], tolerance, now), "{header} is a forgery");
}

fn pattern(wanted: &str, event_type: &str) {
    let named = names(wanted, event_type);
    assert!(named || wanted != event_type || is_pattern(wanted), "{wanted} names itself");
    assert!(!(named && wanted != event_type) || is_pattern(wanted), "{wanted} names {event_type}");
    assert!(!(wanted == "*" && named && event_type.starts_with("webhook.")));
}
