//! Finds out which event of ours an event of another system is.

use pgrx::prelude::*;
use serde_json::{Value, json};

use super::adapter::Adapter;
use super::incoming::Incoming;
use super::mapping::Rule;
use super::paths::evaluate;
use crate::backend::subtransaction::in_subtransaction;
use crate::emit;
use crate::flow::Listening;
use crate::store::{Rows, Statement, columns};

columns!(Columns { entity, entity_id, tenant_id });

/// As in `hydra.event`.
const LONGEST_ID: usize = 1024;

/// An event of ours.
pub struct Mapped {
    pub event_type: String,
    pub entity_type: String,
    pub entity_id: Option<String>,
    pub tenant: Option<String>,
    /// JSON that can be `jsonb`.
    pub entity: String,
    value: Value,
}

/// Returns the event of ours, or why there is none.
pub fn map(adapter: &Adapter, incoming: &Incoming) -> Result<Mapped, String> {
    if let Some(fault) = &incoming.fault {
        return Err(fault.clone());
    }
    let rule = adapter.mapping.rule(incoming.external_type.as_deref()).ok_or_else(|| no_rule(incoming))?;
    let kind = emit::describe(&rule.event).ok_or_else(|| format!("event type {} is not registered", rule.event))?;
    let found = find(rule, incoming)?;
    let entity = found
        .entity
        .ok_or_else(|| format!("the path {} of the mapping finds no entity", rule.entity.as_deref().unwrap_or("$")))?;
    let value = match rule.entity {
        None => incoming.value.clone(),
        Some(_) => {
            ::inbound::json::read(entity.as_bytes()).map_err(|error| format!("the entity cannot be read: {error}"))?
        }
    };
    let short = |id: &String| (1..=LONGEST_ID).contains(&id.len());
    Ok(Mapped {
        event_type: rule.event.clone(),
        entity_type: rule.entity_type.clone().unwrap_or(kind.entity_type),
        entity_id: found.entity_id.or_else(|| scalar(&value, &kind.id_key)).filter(short),
        // Never a tenant that the other system has chosen, unless the mapping says so.
        tenant: adapter.tenant.clone().or(found.tenant_id).filter(short),
        entity,
        value,
    })
}

impl Mapped {
    pub fn listening(&self) -> Listening {
        Listening::to(&self.event_type, self.tenant.as_deref())
    }

    /// Returns what a flow gets.
    pub fn argument(&self, adapter: &Adapter, incoming: &Incoming, received_at: &str) -> Value {
        json!({
            "event": self.event_type,
            "entity_type": self.entity_type,
            "entity_id": self.entity_id,
            "tenant_id": self.tenant,
            "entity": self.value,
            "adapter": {"id": adapter.id, "name": adapter.name},
            "external": {"id": incoming.external_id, "type": incoming.external_type},
            "received_at": received_at,
            "payload": incoming.value,
        })
    }
}

fn no_rule(incoming: &Incoming) -> String {
    match &incoming.external_type {
        Some(name) => format!("the mapping has no event for the type {name}"),
        None => "the event has no type, and the mapping has none for all types".into(),
    }
}

struct Found {
    entity: Option<String>,
    entity_id: Option<String>,
    tenant_id: Option<String>,
}

/// Finds the parts of the event. Fails if it cannot be `jsonb`, such as one with `\u0000`.
fn find(rule: &Rule, incoming: &Incoming) -> Result<Found, String> {
    thread_local! {
        static MAP: Statement = const { Statement::new(include_str!("../../sql/queries/map_inbound_event.sql")) };
    }
    let payload = incoming.payload.as_str();
    let unusable = |message: String| format!("the event cannot be used: {message}");
    if rule.paths().next().is_none() {
        in_subtransaction(|| _ = emit::jsonb(payload)).map_err(|failure| unusable(failure.message))?;
        return Ok(Found { entity: Some(payload.to_owned()), entity_id: None, tenant_id: None });
    }
    let args = [
        payload.into(),
        rule.entity.as_deref().into(),
        rule.entity_id.as_deref().into(),
        rule.tenant_id.as_deref().into(),
    ];
    evaluate(|| Spi::connect(|client| MAP.with(|map| Found::of(map.read(client, &args))))).map_err(unusable)
}

impl Found {
    fn of(mut rows: Rows<'_>) -> Self {
        let columns = Columns::of(&rows);
        let row = rows.next().expect("one row");
        Self {
            entity: row.maybe(columns.entity),
            entity_id: row.maybe(columns.entity_id),
            tenant_id: row.maybe(columns.tenant_id),
        }
    }
}

/// Returns the value of a key if it is a text or a number.
fn scalar(value: &Value, key: &str) -> Option<String> {
    match value.get(key)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}
