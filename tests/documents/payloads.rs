//! Documents that applications could write: hand-picked ones that are hard to render or to send, and then random ones.

use std::fmt;

use rand::RngExt;
use rand::rngs::StdRng;

/// How a document is emitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// In a column of a table with a trigger.
    Json,
    Jsonb,
    Text,
    /// As a row of the table of many types.
    Row,
    /// By a call of `webhook_emit`.
    Call,
}

pub struct Document {
    pub way: Way,
    /// The text of the value. For a row, its columns and values in SQL.
    pub value: String,
}

impl fmt::Debug for Document {
    /// The beginning is enough to recognize it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} of {} bytes: {:.80}", self.way, self.value.len(), self.value.escape_debug().to_string())
    }
}

/// The columns of the table of many types: names, types and values.
pub const COLUMNS: [(&str, &str, &[&str]); 44] = [
    ("f4", "float4", &["NaN", "Infinity", "-Infinity", "-0", "1e-45", "3.4028235e38"]),
    ("f8", "float8", &["NaN", "Infinity", "-Infinity", "-0", "5e-324", "1.7976931348623157e308", "0.1"]),
    ("n", "numeric", &["NaN", "Infinity", "-Infinity", "0.000", "1e131071", "1e-16383", "-1.50"]),
    ("i", "int8", &["9223372036854775807", "-9223372036854775808"]),
    ("b", "bool", &["t", "f"]),
    ("bytes", "bytea", &["\\x", "\\x00ff", "\\xeda080", "\\x5c22"]),
    ("t", "text", &["", " ", "null", "{}", "\"", "\\", "\\u0000", "</script>", "%00", "'"]),
    ("Ünï \"cödé\"", "text", &["a", "\u{7f}"]),
    ("with\nbreak", "text", &["a\nb", "\r\n"]),
    ("fixed", "char(5)", &["", "a", "ü😀"]),
    ("c", "\"char\"", &["q", "\\377", ""]),
    ("ident", "name", &["", "pg_class", "ÄÖÜ"]),
    ("ts", "timestamp", &["infinity", "-infinity", "0044-03-15 BC", "294276-12-31 23:59:59.999999"]),
    ("tz", "timestamptz", &["infinity", "-infinity", "4713-01-01 00:00:00+00 BC", "2024-02-29 23:59:60-15:59"]),
    ("d", "date", &["infinity", "-infinity", "4713-01-01 BC", "5874897-12-31"]),
    ("tod", "time", &["24:00:00", "00:00:00.000001"]),
    ("todz", "timetz", &["23:59:60+15:59", "00:00-15:59"]),
    ("iv", "interval", &["178000000 years", "-1 mon +1 day -00:00:00.000001", "0"]),
    ("r", "int4range", &["empty", "[1,)", "(,)", "[2147483646,2147483647)"]),
    ("nr", "numrange", &["(NaN,)", "[-1.50,1e400]"]),
    ("tr", "tstzrange", &["[-infinity,infinity]", "(,2026-01-01]"]),
    ("mr", "int4multirange", &["{}", "{[1,2),[4,)}"]),
    ("point3", "point3", &["(1,\"a,\\\"\\\\\",\"{1.0,NULL}\")", "(,,)"]),
    ("points", "point3[]", &["{NULL}", "{\"(1,,)\",NULL}", "{}"]),
    ("p", "positive", &["1", "2147483647"]),
    ("dj", "document", &["{\"deep\": [{}]}", "null", "\"\""]),
    ("m", "mood", &["sad \"but\" true", "ok", ""]),
    ("ms", "mood[]", &["{ok,\"sad \\\"but\\\" true\"}", "{{ok},{NULL}}"]),
    ("raises", "raising", &["never", "sometimes"]),
    ("money", "money", &["12.5", "-92233720368547758.08"]),
    ("x", "xml", &["<a>&amp;]]&gt;</a>", "<?xml version=\"1.0\"?><b c='\"'/>", "text"]),
    ("tsv", "tsvector", &["a:1A 'b c':2", "'''':1", ""]),
    ("tsq", "tsquery", &["a & !b", "'\\\\'", ""]),
    ("bits", "varbit", &["", "101", "0"]),
    ("ip", "inet", &["::1", "10.0.0.1/8", "::ffff:1.2.3.4"]),
    ("mac", "macaddr8", &["08:00:2b:01:02:03:04:05"]),
    ("shape", "polygon", &["((0,0),(1e300,-0))", "((NaN,Infinity))"]),
    ("spot", "point", &["(NaN,-Infinity)", "(1e-320,0)"]),
    ("lsn", "pg_lsn", &["FFFFFFFF/FFFFFFFF"]),
    ("place", "tid", &["(4294967295,65535)"]),
    ("class", "regclass", &["pg_class", "4294967295", "\"own\""]),
    ("path", "jsonpath", &["$.\"a\\u0001b\"", "strict $[*] ? (@ like_regex \"^\\\\d\")"]),
    ("texts", "text[]", &["{{a,\"b,\\\"c\"},{NULL,\"\"}}", "[5:6]={x,y}", "{\"\\\\\"}"]),
    ("jsons", "json[]", &["{\"{\\\"a\\\": 1, \\\"a\\\": 2}\",NULL}", "{null}"]),
];

/// The types of the columns that Postgres does not have.
pub const TYPES: &str = r#"
    CREATE TYPE mood AS ENUM ('sad "but" true', 'ok', '');
    CREATE TYPE point3 AS (x int, "Y y" text, z numeric[]);
    CREATE DOMAIN positive AS int CHECK (VALUE > 0);
    CREATE DOMAIN document AS jsonb;
    CREATE TYPE raising AS ENUM ('never', 'sometimes');
    CREATE FUNCTION raising_to_json(raising) RETURNS json LANGUAGE plpgsql AS
        $$ BEGIN IF $1 = 'sometimes' THEN RAISE division_by_zero; END IF; RETURN '{}'; END $$;
    CREATE CAST (raising AS json) WITH FUNCTION raising_to_json(raising);"#;

/// The hard ones first.
pub fn documents(chance: &mut StdRng, count: usize) -> Vec<Document> {
    let mut documents = hand_picked();
    while documents.len() < count {
        documents.push(any(chance));
    }
    documents
}

fn hand_picked() -> Vec<Document> {
    let nested = |open: &str, close: &str, levels| format!("{}0{}", open.repeat(levels), close.repeat(levels));
    let megabyte = "x".repeat(1 << 20);
    let controls: String = (1..0x20).map(char::from).chain(['\u{7f}', '\u{85}', '\u{2028}', '\u{feff}']).collect();
    let escaped: String = (0..0x20).map(|code| format!("\\u{code:04X}")).collect();
    let hebrew = "\u{202e}שלום\u{202c} e\u{301}\u{20dd} 👩‍👩‍👧‍👦🏳️‍🌈 \u{ffff}\u{10ffff}";
    let json = [
        r#"{"z": "\u0000", "a" : 1, "a":2}"#.to_owned(),
        r#"["\ud800", "\udfff", "\ud83d\ude00"]"#.into(),
        format!("\"{escaped}\""),
        "1e131071".into(),
        "[-0, -0.0, 1E+9999999999, 0.10e-99999]".into(),
        nested("[", "]", 4000),
        nested("{\"\":", "}", 4000),
        "\t\n { \r\n\"\" : null } ".into(),
        format!("\"{megabyte}\""),
        format!("\"{hebrew}\""),
        format!("[{}0]", "0,".repeat(100_000)),
    ];
    let jsonb = [
        "1e131071".to_owned(),
        "[1e131071, 1e-16383, -0, 1.500]".into(),
        format!("[{}1e131071]", "1e131071,".repeat(900)),
        nested("[", "]", 4000),
        nested("{\"a\":", "}", 4000),
        r#"{"": "", "a": 1, "a": 2, "\u0001": "\ud83d\ude00"}"#.into(),
        "\"\"".into(),
        "null".into(),
        "true".into(),
        "[]".into(),
        r#"{"id": "\u0001\"", "tenant_id": 7}"#.into(),
        r#"{"id": {"id": 1}, "tenant_id": [1]}"#.into(),
        r#"{"id": 1e131071}"#.into(),
        format!("{{\"id\": 1, \"text\": \"{megabyte}\"}}"),
        format!("{{\"{megabyte}\": \"id\"}}"),
        format!("\"{hebrew}\""),
    ];
    let text = [controls, hebrew.into(), megabyte, "\"".repeat(200_000), "\u{1}".repeat(60_000), String::new()];
    let rows = COLUMNS.iter().flat_map(|(name, kind, values)| values.iter().map(|value| row(&[(name, kind, value)])));
    let of = |way| move |value| Document { way, value };
    let rows: Vec<_> = rows.map(of(Way::Row)).collect();
    json.into_iter()
        .map(of(Way::Json))
        .chain(jsonb.clone().into_iter().map(of(Way::Jsonb)))
        .chain(jsonb.into_iter().map(of(Way::Call)))
        .chain(text.into_iter().map(of(Way::Text)))
        .chain(rows)
        .collect()
}

/// In SQL: some columns and their values.
fn row(values: &[(&str, &str, &str)]) -> String {
    let names: Vec<_> = values.iter().map(|(name, ..)| format!("\"{}\"", name.replace('"', "\"\""))).collect();
    let values: Vec<_> =
        values.iter().map(|(_, kind, value)| format!("'{}'::{kind}", value.replace('\'', "''"))).collect();
    format!("({}) VALUES ({})", names.join(", "), values.join(", "))
}

fn any(chance: &mut StdRng) -> Document {
    let way = [Way::Json, Way::Jsonb, Way::Text, Way::Row, Way::Call][chance.random_range(0..5)];
    let value = match way {
        Way::Json => any_json(chance, true, 0),
        Way::Jsonb | Way::Call => any_json(chance, false, 0),
        Way::Text => any_text(chance),
        Way::Row => {
            let chosen: Vec<_> = COLUMNS.iter().filter(|_| chance.random_bool(0.2)).collect();
            let chosen = if chosen.is_empty() { vec![&COLUMNS[0]] } else { chosen };
            let value = |(name, kind, values): &(_, _, &'static [&'static str])| {
                (*name, *kind, values[chance.random_range(0..values.len())])
            };
            row(&chosen.into_iter().map(value).collect::<Vec<_>>())
        }
    };
    Document { way, value }
}

/// With `plain` also values that `json` accepts and `jsonb` does not.
fn any_json(chance: &mut StdRng, plain: bool, depth: usize) -> String {
    let blank = ["", "", " ", "\n\t"][chance.random_range(0..4)];
    let many = 0..chance.random_range(0..6);
    match chance.random_range(0..if depth < 6 { 9 } else { 5 }) {
        0 => ["null", "true", "false", "0", "-0"][chance.random_range(0..5)].to_owned(),
        1 => format!("{}", chance.random_range(-1e6..1e6)),
        2 => format!("{}e{}", chance.random_range(-9..=9), chance.random_range(-400..=400)),
        3 | 4 => any_json_text(chance, plain),
        5 | 6 => {
            let elements: Vec<_> = many.map(|_| any_json(chance, plain, depth + 1)).collect();
            format!("[{blank}{}{blank}]", elements.join(","))
        }
        _ => {
            let key = |chance: &mut StdRng| match chance.random_range(0..4) {
                0 => "\"id\"".to_owned(),
                1 => "\"\"".to_owned(),
                _ => any_json_text(chance, plain),
            };
            let members: Vec<_> =
                many.map(|_| format!("{}{blank}:{}", key(chance), any_json(chance, plain, depth + 1))).collect();
            format!("{{{blank}{}{blank}}}", members.join(","))
        }
    }
}

fn any_json_text(chance: &mut StdRng, plain: bool) -> String {
    const ESCAPES: [&str; 12] = [
        "\\\"",
        "\\\\",
        "\\/",
        "\\b",
        "\\f",
        "\\n",
        "\\u0001",
        "\\u00e9",
        "\\ud83d\\ude00",
        "\\u2028",
        "\\u0000",
        "\\udc00",
    ];
    let escapes = if plain { &ESCAPES[..] } else { &ESCAPES[..10] };
    let pieces = (0..chance.random_range(0..5)).map(|_| match chance.random_bool(0.5) {
        true => escapes[chance.random_range(0..escapes.len())].to_owned(),
        false => any_text(chance).replace(|char: char| char < ' ' || char == '"' || char == '\\', ""),
    });
    format!("\"{}\"", pieces.collect::<String>())
}

/// Any text that Postgres can store.
fn any_text(chance: &mut StdRng) -> String {
    let length = 1 << chance.random_range(0..10);
    (0..length).map(|_| any_char(chance)).collect()
}

fn any_char(chance: &mut StdRng) -> char {
    let highest = [0x7f, 0x7f, 0x7ff, 0xffff, 0x10_ffff][chance.random_range(0..5)];
    // Surrogates are not characters.
    char::from_u32(chance.random_range(1..=highest)).unwrap_or('\u{fffd}')
}
