//! The rows of a form in which types of another system become events of ours. The fields of row 2 end with `_2`.

use serde_json::{Map, Value, json};
use wire::form::Form;

use crate::serve::console::fields::{self, error};

/// Rows that a form can have.
const MOST: usize = 100;
/// Rows that a form has at least, and those that a button adds.
const BLANK: usize = 3;

/// Members of a value of a mapping beside `event`.
const PATHS: [&str; 4] = ["entity", "entity_type", "entity_id", "tenant_id"];

fn blank() -> Value {
    row(|_| "")
}

fn row<'a>(value: impl Fn(&str) -> &'a str) -> Value {
    let names = ["external", "event"].into_iter().chain(PATHS);
    names.map(|name| (name.to_owned(), json!(value(name)))).collect::<Map<_, _>>().into()
}

fn padded(mut rows: Vec<Value>, blanks: usize) -> Value {
    let blanks = blanks.max(BLANK.saturating_sub(rows.len()));
    rows.extend(std::iter::repeat_with(blank).take(blanks));
    rows.truncate(MOST);
    rows.into()
}

/// Returns the rows of a new form.
pub fn empty() -> Value {
    padded(Vec::new(), 0)
}

fn of_mapping(mapping: &Value) -> Value {
    let rows = mapping.as_object().into_iter().flatten().map(|(external, becomes)| {
        row(|name| match name {
            "external" => external,
            "event" => becomes.as_str().or(becomes["event"].as_str()).unwrap_or_default(),
            path => becomes[path].as_str().unwrap_or_default(),
        })
    });
    padded(rows.collect(), 1)
}

/// Puts the mapping of an adapter, as it is stored, into the values of its form. One that has more types than a form has rows is not
/// shown, and not changed.
pub fn show(values: &mut Value, mapping: &Value) {
    match are_too_many(mapping) {
        true => values["mapping_types"] = json!(mapping.as_object().map(Map::len)),
        false => values["mapping"] = of_mapping(mapping),
    }
}

pub fn are_too_many(mapping: &Value) -> bool {
    mapping.as_object().is_some_and(|types| types.len() > MOST)
}

/// Whether the rows were sent as the form has shown them.
pub fn are_as_shown(form: &Form, mapping: &Value) -> bool {
    let shown = of_mapping(mapping);
    let shown = shown.as_array().map_or(&[][..], Vec::as_slice);
    let is_as_shown = |(place, row): (usize, &Value)| {
        let mut fields = row.as_object().into_iter().flatten();
        fields.all(|(name, value)| fields::is_as_shown(form, &format!("{name}_{}", place + 1), value))
    };
    shown.iter().enumerate().all(is_as_shown) && (shown.len() + 1..=MOST).all(|number| is_blank(form, number))
}

/// Returns the rows that were sent, and a blank one after them.
pub fn sent(form: &Form) -> Value {
    with_blanks(form, 1)
}

fn with_blanks(form: &Form, blanks: usize) -> Value {
    let last = (1..=MOST).rev().find(|number| !is_blank(form, *number)).unwrap_or(0);
    let rows = (1..=last).map(|number| row(|name| of_row(form, name, number)));
    padded(rows.collect(), blanks)
}

/// Whether the button was pressed that adds rows.
pub fn are_more_wanted(form: &Form) -> bool {
    form.get("more").is_some()
}

/// Returns the rows that were sent, and more.
pub fn with_more(form: &Form) -> Value {
    with_blanks(form, BLANK)
}

fn of_row<'a>(form: &'a Form, name: &str, number: usize) -> &'a str {
    let field = format!("{name}_{number}");
    form.exact(&field).unwrap_or_default().trim()
}

fn is_blank(form: &Form, number: usize) -> bool {
    ["external", "event"].into_iter().chain(PATHS).all(|name| of_row(form, name, number).is_empty())
}

/// Returns the mapping that the rows say, null if they are all blank. Fails with an error for each row that says none.
pub fn mapping(form: &Form) -> Result<Value, Vec<Value>> {
    let (mut mapping, mut errors) = (Map::new(), Vec::new());
    for number in (1..=MOST).filter(|number| !is_blank(form, *number)) {
        let external = Some(of_row(form, "external", number)).filter(|name| !name.is_empty()).unwrap_or("*");
        let event = of_row(form, "event", number);
        let wrong = match (event.is_empty(), mapping.contains_key(external)) {
            (true, _) => Some(("has no event", "Choose an event, or empty the row.")),
            (_, true) => Some(("names an external event that another row names", "Empty one of them.")),
            _ => None,
        };
        match wrong {
            Some((what, hint)) => {
                let field = format!("row_{number}");
                errors.push(error(Some(&field), &format!("row {number} {what}"), None, Some(hint)));
            }
            None => _ = mapping.insert(external.to_owned(), value(form, number, event)),
        }
    }
    match (errors.is_empty(), mapping.is_empty()) {
        (false, _) => Err(errors),
        (true, true) => Ok(Value::Null),
        (true, false) => Ok(Value::Object(mapping)),
    }
}

fn value(form: &Form, number: usize, event: &str) -> Value {
    let paths = PATHS.map(|name| (name, of_row(form, name, number)));
    if paths.iter().all(|(_, path)| path.is_empty()) {
        return json!(event);
    }
    let mut value = json!({"event": event});
    for (name, path) in paths.into_iter().filter(|(_, path)| !path.is_empty()) {
        value[name] = json!(path);
    }
    value
}

/// Returns the row that an error of the mapping is about, if it names an external event, one of our event types or a path.
pub fn field_of(form: &Form, refused: &Value) -> String {
    let [message, detail] = ["message", "detail"].map(|part| refused[part].as_str().unwrap_or_default());
    let is_named = |value: &str| {
        let quoted = format!("\"{value}\"");
        !value.is_empty()
            && (message.contains(&quoted) || detail.contains(&quoted) || message.ends_with(&format!(": {value}")))
    };
    let names = |number: &usize| {
        ["external", "event"].into_iter().chain(PATHS).any(|name| is_named(of_row(form, name, *number)))
    };
    let row = (1..=MOST).filter(|number| !is_blank(form, *number)).find(names);
    row.map_or_else(|| "mapping".to_owned(), |number| format!("row_{number}"))
}

/// Fails if no row was filled in.
pub fn require(mapping: &Value, errors: &mut Vec<Value>) {
    if mapping.is_null() {
        let hint = Some("Choose the event that every type becomes, or one for each type.");
        errors.push(fields::error(Some("mapping"), "mapping must not be empty", None, hint));
    }
}
