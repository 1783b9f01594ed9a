//! The mapping of an adapter: which type of event of the other system becomes which of ours.
//!
//! It is an object. A key is a type of the other system, or ends in `.*` for all that begin like it, or is `*` for all and
//! for events without a type; the longest that fits counts. A value is one of our event types, or an object that also says
//! where the entity is.

use serde_json::{Map, Value};
use wire::refusal::Refusal;

const MOST: usize = 1000;
const LONGEST_TYPE: usize = 300;
const LONGEST_PATH: usize = 2000;

#[derive(Debug, PartialEq, Eq)]
pub struct Mapping(Vec<(String, Rule)>);

#[derive(Debug, Default, PartialEq, Eq)]
pub struct Rule {
    /// Our event type.
    pub event: String,
    /// JSON path of the entity; `None`: the whole event.
    pub entity: Option<String>,
    /// Kind of entity; `None`: that of the event type.
    pub entity_type: Option<String>,
    /// JSON path of its id; `None`: it is where the event type has it.
    pub entity_id: Option<String>,
    /// JSON path of its tenant; `None`: that of the adapter.
    pub tenant_id: Option<String>,
}

impl Mapping {
    pub fn parse(json: &Value) -> Result<Self, Refusal> {
        let rules = match json {
            Value::String(_) => vec![("*".to_owned(), Rule::parse("*", json)?)],
            Value::Object(rules) if (1..=MOST).contains(&rules.len()) => {
                let rule = |(name, rule): (&String, &Value)| Ok((checked_type(name)?, Rule::parse(name, rule)?));
                rules.iter().map(rule).collect::<Result<_, _>>()?
            }
            Value::Object(_) => return Err(invalid(format!("It has 1 to {MOST} types of the other system."))),
            _ => {
                return Err(invalid(
                    "It is an event type, or an object of types of the other system and our event types.",
                ));
            }
        };
        Ok(Self(rules))
    }

    /// Returns the rule for events of this type.
    pub fn rule(&self, external_type: Option<&str>) -> Option<&Rule> {
        let fits = |key: &str| match (key, external_type) {
            ("*", _) => true,
            (key, Some(name)) => {
                key == name
                    || key.strip_suffix('*').is_some_and(|start| start.ends_with('.') && name.starts_with(start))
            }
            (_, None) => false,
        };
        // A type itself is longer than what it begins with.
        let rank = |key: &str| (external_type == Some(key), key.len());
        self.0.iter().filter(|(key, _)| fits(key)).max_by_key(|(key, _)| rank(key)).map(|(_, rule)| rule)
    }

    pub fn rules(&self) -> impl Iterator<Item = &Rule> {
        self.0.iter().map(|(_, rule)| rule)
    }

    /// Returns the mapping as it is stored.
    pub fn stored(json: &Value) -> Value {
        match json {
            Value::String(event) => Value::Object(Map::from_iter([("*".to_owned(), Value::from(event.as_str()))])),
            _ => json.clone(),
        }
    }
}

impl Rule {
    fn parse(key: &str, json: &Value) -> Result<Self, Refusal> {
        let of = |what: &str| invalid(format!("{what} of \"{}\".", shortened(key)));
        let Value::Object(fields) = json else {
            let event = json.as_str().ok_or_else(|| of("Neither an event type nor an object is the value"))?;
            return Ok(Self { event: event.to_owned(), ..Self::default() });
        };
        let mut rule = Self::default();
        for (name, value) in fields {
            let text = || {
                let text = value.as_str().filter(|text| (1..=LONGEST_PATH).contains(&text.len()));
                text.map(str::to_owned)
                    .ok_or_else(|| of(&format!("\"{}\" is not a short text in the value", shortened(name))))
            };
            match name.as_str() {
                "event" => rule.event = text()?,
                "entity" => rule.entity = Some(text()?).filter(|path| path != "$"),
                "entity_type" => rule.entity_type = Some(text()?),
                "entity_id" => rule.entity_id = Some(text()?),
                "tenant_id" => rule.tenant_id = Some(text()?),
                _ => return Err(of(&format!("\"{}\" is not known in the value", shortened(name)))),
            }
        }
        if rule.event.is_empty() { Err(of("The key \"event\" is missing in the value")) } else { Ok(rule) }
    }

    /// Returns the JSON paths of the rule.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        [&self.entity, &self.entity_id, &self.tenant_id].into_iter().flatten().map(String::as_str)
    }
}

fn checked_type(name: &str) -> Result<String, Refusal> {
    let star = name.find('*');
    let is_pattern = name == "*" || star.is_some_and(|place| place + 1 == name.len() && name.ends_with(".*"));
    match (1..=LONGEST_TYPE).contains(&name.len()) && (star.is_none() || is_pattern) {
        true => Ok(name.to_owned()),
        false => {
            Err(invalid(format!("\"{}\" is no type: a * stands alone, or at the end after a dot.", shortened(name))))
        }
    }
}

fn shortened(text: &str) -> &str {
    &text[..text.floor_char_boundary(60)]
}

fn invalid(detail: impl Into<String>) -> Refusal {
    let hint = r#"Use a mapping such as '{"issues.opened": {"event": "ticket.created", "entity": "$.issue"}}'."#;
    Refusal::new("invalid mapping").detail(detail).hint(hint)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn event(mapping: Value, external_type: Option<&str>) -> Option<String> {
        Mapping::parse(&mapping).unwrap().rule(external_type).map(|rule| rule.event.clone())
    }

    #[test]
    fn the_longest_key_that_fits_counts() {
        let mapping = json!({"*": "a.all", "issues.*": "a.issues", "issues.opened.*": "a.opened", "issues.opened": "a.exact", "x*": "never"});
        assert!(Mapping::parse(&mapping).is_err());
        let mapping =
            json!({"*": "a.all", "issues.*": "a.issues", "issues.opened.*": "a.opened", "issues.opened": "a.exact"});
        for (name, expected) in [
            (Some("issues.opened"), "a.exact"),
            (Some("issues.opened.twice"), "a.opened"),
            (Some("issues.closed"), "a.issues"),
            (Some("issues"), "a.all"),
            (Some("issues.*"), "a.issues"),
            (Some("push"), "a.all"),
            (None, "a.all"),
        ] {
            assert_eq!(event(mapping.clone(), name).as_deref(), Some(expected), "{name:?}");
        }
        assert_eq!(event(json!({"push": "a.push"}), Some("pull")), None);
        assert_eq!(event(json!({"push": "a.push"}), None), None);
        assert_eq!(event(json!("a.b"), Some("anything")).as_deref(), Some("a.b"));
    }

    #[test]
    fn a_mapping_that_cannot_be_meant_is_refused() {
        for wrong in [
            json!(null),
            json!([]),
            json!({}),
            json!({"a": 1}),
            json!({"a": {}}),
            json!({"a": {"entity": "$.x"}}),
            json!({"a": {"event": "x.y", "entty": "$.x"}}),
            json!({"a": {"event": "x.y", "entity": ""}}),
            json!({"": "x.y"}),
            json!({"a*": "x.y"}),
            json!({"*.a": "x.y"}),
            json!({"a.*.*": "x.y"}),
        ] {
            assert!(Mapping::parse(&wrong).is_err(), "{wrong}");
        }
    }
}
