//! Finds values in JSON by a path: the part of SQL's jsonpath that has keys, indexes and `[*]`, such as `$.entry[0]."a-b"`.
//!
//! A path of this kind means the same to Postgres, with one exception: a value that is missing is never skipped.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use wire::refusal::Refusal;

const MAX_BYTES: usize = 255;
const MAX_STEPS: usize = 16;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Path {
    text: String,
    steps: Vec<Step>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Key(String),
    Index(usize),
    Every,
}

impl Path {
    pub fn parse(text: &str) -> Result<Path, Refusal> {
        let steps = (text.len() <= MAX_BYTES).then(|| text.strip_prefix('$').and_then(steps)).flatten();
        let steps = steps.filter(|steps| steps.len() <= MAX_STEPS).ok_or_else(|| {
            Refusal::new(format!("\"{}\" is not a path", text.chars().take(80).collect::<String>()))
                .detail(format!("A path has $ and then keys and indexes, at most {MAX_STEPS}."))
                .hint("Write it as in $.order.id, $.items[0].id or $.\"event-data\".id.")
        })?;
        Ok(Path { text: text.to_owned(), steps })
    }

    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns all values that the path leads to, or `None` if one is missing or there are none.
    pub fn all<'a>(&self, value: &'a Value) -> Option<Vec<&'a Value>> {
        let mut found = vec![value];
        for step in &self.steps {
            found = match step {
                Step::Key(key) => found.into_iter().map(|value| value.get(key)).collect::<Option<_>>()?,
                Step::Index(index) => found.into_iter().map(|value| value.get(index)).collect::<Option<_>>()?,
                Step::Every => {
                    let arrays: Vec<_> = found.into_iter().map(Value::as_array).collect::<Option<_>>()?;
                    arrays.into_iter().flatten().collect()
                }
            };
        }
        (!found.is_empty()).then_some(found)
    }

    /// Returns the text or number that the path leads to, as text.
    pub fn text(&self, value: &Value) -> Option<String> {
        match self.all(value)?[..] {
            [Value::String(text)] => Some(text.clone()),
            [Value::Number(number)] => Some(number.to_string()),
            _ => None,
        }
    }
}

fn steps(mut rest: &str) -> Option<Vec<Step>> {
    let mut steps = Vec::new();
    while !rest.is_empty() {
        let step;
        (step, rest) = match rest.strip_prefix('.') {
            Some(key) => key_step(key)?,
            None => index_step(rest.strip_prefix('[')?)?,
        };
        steps.push(step);
    }
    Some(steps)
}

fn key_step(text: &str) -> Option<(Step, &str)> {
    let (key, rest) = match text.strip_prefix('"') {
        Some(quoted) => quoted.split_once('"')?,
        None => text.split_at(text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(text.len())),
    };
    let starts_well = text.starts_with(|c: char| !c.is_ascii_digit());
    (starts_well && !key.is_empty() && !key.contains(['\\', '\0'])).then(|| (Step::Key(key.to_owned()), rest))
}

fn index_step(text: &str) -> Option<(Step, &str)> {
    let (index, rest) = text.split_once(']')?;
    if index == "*" {
        return Some((Step::Every, rest));
    }
    let is_number = !index.is_empty() && index.len() <= 6 && index.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| Some((Step::Index(index.parse().ok()?), rest)))?
}

impl TryFrom<String> for Path {
    type Error = String;

    fn try_from(text: String) -> Result<Path, String> {
        Path::parse(&text).map_err(|refusal| refusal.message)
    }
}

impl From<Path> for String {
    fn from(path: Path) -> String {
        path.text
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn text(path: &str, value: &Value) -> Option<String> {
        Path::parse(path).unwrap().text(value)
    }

    #[test]
    fn a_path_leads_to_a_text_or_a_number() {
        let value = json!({"a": {"b-c": [{"id": 7}, {"id": "x"}]}, "n": 1.5, "no": null, "t": true});
        assert_eq!(text("$.a.\"b-c\"[1].id", &value).as_deref(), Some("x"));
        assert_eq!(text("$.a.\"b-c\"[0].id", &value).as_deref(), Some("7"));
        assert_eq!(text("$.n", &value).as_deref(), Some("1.5"));
        for nothing in ["$", "$.a", "$.no", "$.t", "$.a[0]", "$.a.\"b-c\"[2].id", "$.a.\"b-c\"[*].id"] {
            assert_eq!(text(nothing, &value), None, "{nothing}");
        }
    }

    #[test]
    fn a_path_to_all_elements_finds_none_if_one_has_no_value() {
        let path = Path::parse("$.value[*].s").unwrap();
        assert_eq!(path.all(&json!({"value": [{"s": 1}, {"s": 2}]})), Some(vec![&json!(1), &json!(2)]));
        assert_eq!(path.all(&json!({"value": [{"s": 1}, {}]})), None);
        assert_eq!(path.all(&json!({"value": []})), None);
        assert_eq!(path.all(&json!({"value": {"s": 1}})), None);
    }

    #[test]
    fn what_is_no_path_is_refused() {
        let long = format!("$.{}", "a".repeat(300));
        let deep = format!("${}", ".a".repeat(17));
        let wrong =
            ["", "a", "$a", "$.", "$..a", "$.a ?(@ > 1)", "$[", "$[]", "$[-1]", "$[1", "$.\"a", "$.\"\"", "$.1a"];
        for wrong in wrong.into_iter().chain(["$.a-b", "$[1234567]", "$.\"a\\u0041\"", &long, &deep]) {
            assert!(Path::parse(wrong).is_err(), "{wrong}");
        }
    }
}
