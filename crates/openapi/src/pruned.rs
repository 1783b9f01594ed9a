//! Removes components that nothing refers to: a key that may only read has no bodies of changes.

use std::collections::HashSet;

use serde_json::Value;

const PARTS: [&str; 4] = ["schemas", "responses", "headers", "parameters"];

pub fn prune(document: &mut Value) {
    let mut used = HashSet::new();
    for part in ["paths", "webhooks"] {
        collect(&document[part], &mut used);
    }
    // What is used may use others.
    let mut known = 0;
    while known < used.len() {
        known = used.len();
        let now: Vec<String> = used.iter().cloned().collect();
        for reference in now {
            if let Some(component) = reference.strip_prefix('#').and_then(|pointer| document.pointer(pointer)) {
                collect(component, &mut used);
            }
        }
    }
    for part in PARTS {
        if let Some(components) = document["components"][part].as_object_mut() {
            components.retain(|name, _| used.contains(&format!("#/components/{part}/{name}")));
        }
    }
}

fn collect(value: &Value, into: &mut HashSet<String>) {
    match value {
        Value::Object(members) => {
            if let Some(reference) = members.get("$ref").and_then(Value::as_str) {
                into.insert(reference.to_owned());
            }
            members.values().for_each(|member| collect(member, into));
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, into)),
        _ => {}
    }
}
