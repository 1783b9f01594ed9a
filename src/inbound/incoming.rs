//! The events of a request: usually one, or several where the provider sends them together.

use ::inbound::Accepted;
use ::inbound::hidden::Hidden;
use ::inbound::json;
use pgrx::prelude::*;
use serde_json::Value;

use super::adapter::Adapter;
use super::paths::evaluate;
use crate::serve::sql;
use crate::store::{Rows, Statement, columns};

/// No provider sends more events in one request.
const MOST: usize = 5000;
/// Longer ids are replaced by their hash, and longer types are cut off.
const LONGEST: usize = 255;

columns!(Columns { element, external_id, external_type });

/// An event of the other system.
#[derive(Debug)]
pub struct Incoming {
    pub external_id: Option<String>,
    pub external_type: Option<String>,
    /// JSON.
    pub payload: String,
    pub value: Value,
    /// Why it cannot be mapped to an event of ours.
    pub fault: Option<String>,
    /// Whether it is a body in which no event was found.
    pub is_whole: bool,
}

/// Returns the events of a body, or why it has none that can be read. `raw` is the body as it came.
pub fn events(adapter: &Adapter, accepted: Accepted, value: Value, raw: &[u8]) -> Result<Vec<Incoming>, String> {
    let payload = text(&value, raw);
    let each = adapter.each.as_deref().or(adapter.scheme.each.as_deref());
    if each.is_none() && adapter.id_path.is_none() && adapter.type_path.is_none() {
        let (external_id, external_type) = (accepted.id, accepted.external_type);
        return Ok(vec![Incoming::new(external_id, external_type, payload, value)]);
    }
    let found = split(adapter, each, &payload)?;
    if let Some(each) = each.filter(|each| found.is_empty() && !is_empty_list(each, &payload)) {
        let whole = Incoming::new(accepted.id, accepted.external_type, payload, value);
        let fault = Some(format!("the path {each} of the adapter finds no event"));
        return Ok(vec![Incoming { fault, is_whole: true, ..whole }]);
    }
    if found.len() > MOST {
        return Err(format!("a request has at most {MOST} events"));
    }
    let is_alone = each.is_none();
    let incoming = |(place, (element, own_id, own_type)): (usize, (String, Option<String>, Option<String>))| {
        let value = json::read(element.as_bytes()).map_err(|error| error.to_string())?;
        // The id of a request that has several events is not that of one of them.
        let numbered = || accepted.id.as_ref().map(|id| if is_alone { id.clone() } else { format!("{id}/{place}") });
        let external_id =
            own_id.or_else(|| if is_alone { None } else { adapter.scheme.id_of(&value) }).or_else(numbered);
        let external_type = own_type
            .or_else(|| if is_alone { None } else { adapter.scheme.type_of(&value) })
            .or_else(|| accepted.external_type.clone());
        let payload = if is_alone { payload.clone() } else { element };
        Ok(Incoming::new(external_id, external_type, payload, value))
    };
    found.into_iter().enumerate().map(incoming).collect()
}

type Found = (String, Option<String>, Option<String>);

/// Finds the events in a body, with their ids and types. An event that `jsonb` cannot hold does not hinder the others.
fn split(adapter: &Adapter, each: Option<&str>, payload: &str) -> Result<Vec<Found>, String> {
    let Some(hidden) = Hidden::of(payload, rand::random()) else { return split_jsonb(adapter, each, payload) };
    let found = split_jsonb(adapter, each, &hidden.json)?;
    let shown = |(element, id, of_type): Found| {
        let shown = |text: Option<String>| text.map(|text| hidden.shown_in_text(&text));
        (hidden.shown_in_json(&element), shown(id), shown(of_type))
    };
    Ok(found.into_iter().map(shown).collect())
}

/// Whether a path that finds nothing in a body is right to do so: it leads to a list that is there, and empty; or it has a condition, which
/// no event meets.
fn is_empty_list(each: &str, payload: &str) -> bool {
    const EXISTS: &str = "SELECT pg_catalog.jsonb_path_exists($1::jsonb, $2::jsonpath, '{}', true)";
    let Some(list) = each.strip_suffix("[*]") else { return true };
    let hidden = Hidden::of(payload, rand::random());
    let payload = hidden.as_ref().map_or(payload, |hidden| &hidden.json);
    evaluate(|| sql::one::<bool>(EXISTS, &[payload.into(), list.into()])).ok().flatten() == Some(true)
}

fn split_jsonb(adapter: &Adapter, each: Option<&str>, payload: &str) -> Result<Vec<Found>, String> {
    thread_local! {
        static SPLIT: Statement = const { Statement::new(include_str!("../../sql/queries/split_inbound_body.sql")) };
    }
    let args = [
        payload.into(),
        each.into(),
        adapter.id_path.as_deref().into(),
        adapter.type_path.as_deref().into(),
        (MOST as i64 + 1).into(),
    ];
    evaluate(|| Spi::connect(|client| SPLIT.with(|split| found(split.read(client, &args)))))
        .map_err(|message| format!("the body cannot be read: {message}"))
}

fn found(rows: Rows<'_>) -> Vec<Found> {
    let columns = Columns::of(&rows);
    rows.map(|row| (row.value(columns.element), row.maybe(columns.external_id), row.maybe(columns.external_type)))
        .collect()
}

/// Returns the text of a body. That of JSON is kept as it came, because not every number of it can be represented.
fn text(value: &Value, raw: &[u8]) -> String {
    let is_it = |raw: &&str| serde_json::from_str::<Value>(raw).is_ok_and(|read| read == *value);
    str::from_utf8(raw).ok().filter(is_it).map_or_else(|| value.to_string(), str::to_owned)
}

impl Incoming {
    pub fn new(external_id: Option<String>, mut external_type: Option<String>, payload: String, value: Value) -> Self {
        if let Some(name) = &mut external_type {
            // A text of Postgres has no NUL, which JSON can have.
            name.retain(|character| character != '\0');
            name.truncate(name.floor_char_boundary(LONGEST));
        }
        let fault = json::fault_of(&value).map(|why| format!("the event cannot be used: {why}"));
        let external_id = external_id.filter(|id| !id.is_empty()).map(short_id);
        Self { external_id, external_type, payload, value, fault, is_whole: false }
    }
}

fn short_id(id: String) -> String {
    if id.len() <= LONGEST && !id.contains('\0') { id } else { hex::encode(wire::token::stored(id.as_bytes())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_id_is_replaced_by_its_hash() {
        assert_eq!(short_id("evt_1".into()), "evt_1");
        assert_eq!(short_id("x".repeat(256)).len(), 64);
        assert_ne!(short_id("x".repeat(256)), short_id("x".repeat(257)));
        assert_eq!(short_id("a\0b".into()).len(), 64);
    }

    #[test]
    fn json_is_kept_as_it_came() {
        let raw = br#"{"b": 1.10, "a": 2}"#;
        let value = serde_json::from_slice(raw).unwrap();
        assert_eq!(text(&value, raw).as_bytes(), raw);
        assert_eq!(text(&serde_json::json!({"a": "1"}), b"a=1"), r#"{"a":"1"}"#);
    }
}
