//! What a list can be asked for, and what a change can be sent with.

use serde_json::{Value, json};

use crate::Named;
use crate::column::Column;
use crate::responses::reference;

/// Returns the parameter with the id of one thing.
pub fn id(column: &Column) -> Value {
    json!({"name": "id", "in": "path", "required": true, "description": "Its id.", "schema": column.value()})
}

/// Returns the parameters of a list of the application.
pub fn query(filterable: &[Column], sortable: &[&str]) -> Vec<Value> {
    let mut parameters = paging();
    parameters.push(sort(sortable));
    parameters.push(reference("parameters", "If-None-Match"));
    parameters.extend(filterable.iter().flat_map(filters));
    parameters
}

/// Returns the parameters of every list.
pub fn paging() -> Vec<Value> {
    vec![reference("parameters", "limit"), reference("parameters", "cursor")]
}

fn sort(sortable: &[&str]) -> Value {
    let both = sortable.iter().flat_map(|column| [(*column).to_owned(), format!("-{column}")]);
    json!({
        "name": "sort", "in": "query", "style": "form", "explode": false,
        "description": "Columns by which to sort, the most important one first; `-` before a name begins with the greatest value. \
                        Rows that are equal in these are sorted by their ids.",
        "schema": {"type": "array", "maxItems": 4, "uniqueItems": true, "items": {"type": "string", "enum": both.collect::<Vec<_>>()}},
        "example": [format!("-{}", sortable.last().expect("the id"))],
    })
}

/// Returns the filters by a column.
fn filters(column: &Column) -> Vec<Value> {
    let filter = |operator: &str, words: &str, schema: Value| {
        let name = match operator {
            "" if ["limit", "cursor", "sort"].contains(&column.name.as_str()) => format!("{}[eq]", column.name),
            "" => column.name.clone(),
            _ => format!("{}[{operator}]", column.name),
        };
        json!({"name": name, "in": "query", "description": format!("Only rows whose `{}` {words}.", column.name), "schema": schema})
    };
    let value = || column.of.compared();
    let mut all = vec![filter("", "is this", value()), filter("ne", "is not this", value())];
    if column.of.has_order() && column.choices.is_none() {
        let compared =
            [("gt", "is greater"), ("gte", "is this or greater"), ("lt", "is less"), ("lte", "is this or less")];
        all.extend(compared.map(|(operator, words)| filter(operator, words, value())));
    }
    let mut any = filter("in", "is one of these", json!({"type": "array", "maxItems": 100, "items": value()}));
    any["style"] = json!("form");
    any["explode"] = json!(false);
    all.push(any);
    if column.nullable {
        all.push(filter("null", "has no value (`true`), or has one (`false`)", json!({"type": "boolean"})));
    }
    all
}

/// Returns the headers with which a change can be sent.
pub fn of_change(of_one_row: bool) -> Value {
    let names: &[&str] =
        if of_one_row { &["If-Match", "Idempotency-Key", "Prefer"] } else { &["Idempotency-Key", "Prefer"] };
    names.iter().map(|name| reference("parameters", name)).collect()
}

/// Returns the parameters that several operations have.
pub fn shared() -> Vec<Named> {
    let header = |name: &str, description: &str, schema: Value| {
        (name.to_owned(), json!({"name": name, "in": "header", "description": description, "schema": schema}))
    };
    let text = || json!({"type": "string"});
    vec![
        (
            "limit".into(),
            json!({"name": "limit", "in": "query", "description": "How many at most.",
                   "schema": {"type": "integer", "minimum": 1, "maximum": 100, "default": 50}}),
        ),
        (
            "cursor".into(),
            json!({"name": "cursor", "in": "query",
                   "description": "`next_cursor` of the answer before; with the same filters and the same order.",
                   "schema": {"type": "string"}}),
        ),
        header("If-None-Match", "An `ETag`: if the row is still the same, the answer is 304, without a body.", text()),
        header(
            "If-Match",
            "An `ETag`: if the row has become another one, nothing is changed, and the answer is 412.",
            text(),
        ),
        header(
            "Idempotency-Key",
            "Any text of 1 to 255 bytes that is new for each change. A request that is repeated with it within 24 hours has its effect once, and \
             gets the same answer.",
            text(),
        ),
        header(
            "Prefer",
            "With `tx=rollback`, the change is made, its effects are collected and returned, and everything is undone.",
            json!({"type": "string", "examples": ["tx=rollback"]}),
        ),
    ]
}
