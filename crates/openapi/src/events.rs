//! The requests of webhooks: what a receiver gets for each type of event, in the preset `standard`.

use serde_json::{Value, json};

use crate::Named;
use crate::responses::reference;

#[derive(Debug, Clone)]
pub struct EventType {
    pub name: String,
    pub description: Option<String>,
    /// The resource whose rows are sent as they are, if the key may read it.
    pub resource: Option<String>,
}

impl EventType {
    /// Returns the request, under the name of the event type.
    pub fn webhook(&self) -> Named {
        let header = |name: &str, description: &str| {
            json!({"name": name, "in": "header", "required": true, "description": description, "schema": {"type": "string"}})
        };
        let summary = self.description.as_deref().unwrap_or(&self.name);
        let content = json!({"application/json": {"schema": self.body()}});
        let post = json!({
            "operationId": format!("receive_{}", self.name.replace('.', "_")),
            "tags": ["events"],
            "summary": summary,
            "security": [],
            "parameters": [
                header("webhook-id", "Id of the delivery, the same in every attempt."),
                header("webhook-timestamp", "Time of the attempt, in seconds since 1970."),
                header("webhook-signature", "Signatures, `v1,…`, over id, timestamp and body."),
            ],
            "requestBody": {"required": true, "content": content},
            "responses": {
                "2XX": {"description": "It has arrived. Every other answer makes it come again"},
                "410": {"description": "The receiver is gone. Nothing is sent to it any more"},
            },
        });
        (self.name.clone(), json!({"post": post}))
    }

    fn body(&self) -> Value {
        let not_sent = json!({
            "type": "object",
            "description": "It could not be sent.",
            "properties": {"entity_error": {"type": "string", "description": "Why."}},
            "required": ["entity_error"],
        });
        let entity = match &self.resource {
            Some(resource) => reference("schemas", resource),
            None => json!({"description": "What the event is about."}),
        };
        json!({
            "type": "object",
            "properties": {
                "type": {"type": "string", "const": self.name},
                "timestamp": {"type": "string", "format": "date-time", "description": "When it was emitted."},
                "data": {"anyOf": [entity, not_sent]},
            },
            "required": ["type", "timestamp", "data"],
        })
    }
}
