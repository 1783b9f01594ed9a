//! Reads a scheme section by section, so that an error names the section.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use wire::refusal::Refusal;

use super::{Scheme, Signature};

const SECTIONS: [&str; 9] =
    ["signature", "token", "timestamp", "id", "type", "each", "retries", "budget_ms", "handshake"];
const MAX_BYTES: usize = 8192;
const DEFAULT_BUDGET_MS: u32 = 8000;

pub fn scheme(json: &Value) -> Result<Scheme, Refusal> {
    let sections = json.as_object().ok_or_else(|| refusal("It is not an object."))?;
    if json.to_string().len() > MAX_BYTES {
        return Err(refusal(format!("It is longer than {MAX_BYTES} bytes.")));
    }
    if let Some(unknown) = sections.keys().find(|key| !SECTIONS.contains(&key.as_str())) {
        let unknown: String = unknown.chars().take(80).collect();
        return Err(refusal(format!("\"{unknown}\" is not known. There are {}.", SECTIONS.join(", "))));
    }
    Ok(Scheme {
        signature: signature(sections)?,
        token: section(sections, "token")?,
        timestamp: section(sections, "timestamp")?,
        id: section(sections, "id")?.unwrap_or_default(),
        external_type: section(sections, "type")?.unwrap_or_default(),
        each: section(sections, "each")?,
        retries: section(sections, "retries")?.unwrap_or_default(),
        budget_ms: section(sections, "budget_ms")?.unwrap_or(DEFAULT_BUDGET_MS),
        handshake: section(sections, "handshake")?,
    })
}

fn signature(sections: &Map<String, Value>) -> Result<Option<Signature>, Refusal> {
    Ok(match sections.get("signature") {
        Some(Value::String(_)) => section(sections, "signature")?.map(Signature::Coded),
        _ => section(sections, "signature")?.map(Signature::Declared),
    })
}

fn section<T: DeserializeOwned>(sections: &Map<String, Value>, name: &str) -> Result<Option<T>, Refusal> {
    let value = sections.get(name).unwrap_or(&Value::Null);
    Option::deserialize(value).map_err(|error| refusal(format!("In \"{name}\": {error}.")))
}

pub fn refusal(detail: impl Into<String>) -> Refusal {
    Refusal::new("the scheme is not valid")
        .detail(detail)
        .hint("The page docs/inbound-schemes.md describes schemes. Begin with that of a provider that signs in a similar way.")
}
