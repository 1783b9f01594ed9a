//! Types as they are described: what is shown is as the description says, and what it permits is accepted.

use serde_json::{Value, json};
use testkit::Bench;

use crate::{cluster, get, key, request_with_body};

const TYPES: &str = "
    CREATE TYPE public.addr AS (street text, zip int, codes int[]);
    CREATE DOMAIN public.home AS public.addr;
    CREATE DOMAIN public.homes AS public.home[];
    CREATE DOMAIN public.share AS numeric(5,2) CHECK (VALUE <= 100);
    CREATE DOMAIN public.shares AS public.share[];
    CREATE DOMAIN public.share_of_share AS public.share;
    CREATE DOMAIN public.pair AS int[] CHECK (cardinality(VALUE) = 2);
    CREATE DOMAIN public.grid AS int[][];
    CREATE DOMAIN public.word AS varchar(5);
    CREATE TYPE public.mood AS ENUM ('good', 'bad');
    CREATE DOMAIN public.feeling AS public.mood;
    CREATE TYPE public.person AS (name public.word, lives public.home, others public.addr[]);";

/// Columns with values, and with what the description must not permit.
const COLUMNS: &[(&str, &str, &[&str], &[&str])] = &[
    (
        "a",
        "public.addr",
        &[r#"{"street": "x", "zip": null, "codes": [1, null]}"#],
        &[r#"{"stret": "x"}"#, "\"x\"", "[]"],
    ),
    ("h", "public.home", &[r#"{"street": null, "zip": 1, "codes": null}"#], &[r#"{"zap": 1}"#]),
    ("hs", "public.homes", &[r#"[{"street": "x", "zip": 1, "codes": []}, null]"#], &["[\"x\"]", r#"[{"zap": 1}]"#]),
    ("l", "public.addr[]", &[r#"[{"street": "x", "zip": 1, "codes": []}]"#], &["[1]"]),
    (
        "p",
        "public.person",
        &[r#"{"name": "a", "lives": {"street": "x", "zip": 1, "codes": []}, "others": [null]}"#],
        &[r#"{"lives": "x"}"#, r#"{"name": 1}"#],
    ),
    ("sh", "public.share_of_share", &["1.50"], &["\"x\"", "true"]),
    ("shs", "public.shares", &["[1.50, null]"], &["[\"x\"]", "1"]),
    ("pa", "public.pair", &["[1, 2]"], &["[\"x\"]", "[1.5]"]),
    ("g", "public.grid", &["[[1, 2], [3, null]]"], &["[1]", "[[\"x\"]]"]),
    ("m", "int[][]", &["[[1, 2], [3, 4]]"], &["[1]", "[null]", "[[1], null]"]),
    ("c", "boolean[][][]", &["[[[true], [null]]]"], &["[[true]]"]),
    ("o", "oid", &["\"4294967295\"", "\"7\""], &["7"]),
    ("os", "oid[]", &["[\"7\", null]"], &["[7]"]),
    ("rc", "regclass", &["\"pg_class\""], &["7"]),
    ("w", "public.word", &["\"abcde\""], &["\"abcdef\"", "1"]),
    ("ws", "public.word[]", &["[\"abcde\"]"], &["[\"abcdef\"]"]),
    ("vs", "varchar(3)[]", &["[\"abc\", null]"], &["[\"abcd\"]"]),
    ("f", "public.feeling", &["\"good\""], &["1"]),
    ("ms", "public.mood[]", &["[\"good\", null]"], &["[1]"]),
    ("js", "jsonb[]", &[r#"[{"a": 1}, 2, "x"]"#], &["1"]),
    ("r", "int4range", &["\"[1,3)\""], &["[1, 3]"]),
];

/// Whether a value is as a schema says, of the words that ours have.
fn fits(schema: &Value, value: &Value) -> bool {
    if let Some(any) = schema["anyOf"].as_array() {
        return any.iter().any(|schema| fits(schema, value));
    }
    let is_of = |name: &str| match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        name => panic!("the type {name}"),
    };
    let has_type = match &schema["type"] {
        Value::String(name) => is_of(name),
        Value::Array(names) => names.iter().any(|name| is_of(name.as_str().unwrap())),
        _ => true,
    };
    let is_short = |text: &str| schema["maxLength"].as_u64().is_none_or(|most| text.chars().count() as u64 <= most);
    let of_member = |(name, value): (&String, &Value)| match schema["properties"].get(name) {
        Some(schema) => fits(schema, value),
        None => schema["additionalProperties"] != json!(false),
    };
    let of_element = |value: &Value| schema.get("items").is_none_or(|schema| fits(schema, value));
    has_type
        && schema["enum"].as_array().is_none_or(|choices| choices.contains(value))
        && value.as_str().is_none_or(is_short)
        && value.as_object().is_none_or(|members| members.iter().all(of_member))
        && value.as_array().is_none_or(|elements| elements.iter().all(of_element))
}

#[test]
fn what_is_shown_of_each_type_is_as_described_and_is_accepted_again() {
    let mut bench = Bench::new(cluster(), "types_described");
    let definitions: Vec<String> = COLUMNS.iter().map(|(name, of, ..)| format!("{name} {of}")).collect();
    let names: Vec<&str> = COLUMNS.iter().map(|(name, ..)| *name).collect();
    let names = names.join(",");
    bench.run(&format!(
        "{TYPES}
         CREATE TABLE public.things (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, {});
         GRANT ALL ON public.things TO hydra_api;
         SELECT hydra.api_expose('public.things', creatable => '{{{names}}}', updatable => '{{{names}}}')",
        definitions.join(", ")
    ));
    let key = key(&mut bench.client, "things:read,things:write,deep:read", "NULL");
    // A column can be declared with any number of dimensions, and an array has six at most.
    bench.run(&format!(
        "CREATE TABLE public.deep (id bigint PRIMARY KEY, a int{}); GRANT ALL ON public.deep TO hydra_api; SELECT hydra.api_expose('public.deep')",
        "[]".repeat(20_000)
    ));
    let document = get(&mut bench.client, &key, "/api/v1/openapi.json");
    let [row, new] = ["things", "things.new"].map(|name| &document["components"]["schemas"][name]["properties"]);
    for (name, of, values, others) in COLUMNS {
        let schemas = (&row[name], &new[name]);
        for text in *values {
            let body = format!("{{\"{name}\": {text}}}");
            let created = request_with_body(&mut bench.client, &key, "POST", "/api/v1/things", &body);
            assert_eq!(created.status, 201, "{of} {text}: {created:?}");
            let shown = created.json()[name].take();
            assert_eq!(shown, serde_json::from_str::<Value>(text).unwrap(), "{of}");
            assert!(fits(schemas.0, &shown) && fits(schemas.1, &shown), "{of} {shown}: {schemas:?}");
        }
        for text in *others {
            let value = serde_json::from_str(text).unwrap();
            assert!(!fits(schemas.1, &value), "{of} {text}: {schemas:?}");
        }
    }
}
