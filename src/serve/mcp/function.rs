//! Calls the function of a registered tool, as the role and in the tenant of the key.
//!
//! Postgres reads each argument as text of its type. All arguments are passed, in their order and with their types, also those
//! that have a default and are not given: so no other function of the same name can be meant.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::arguments::{LIMIT, MOST};
use super::call::LARGEST;
use super::registered::Argument;
use crate::backend::subtransaction::{attempt, must_end, report};
use crate::backend::{deadline, sqlstate};
use crate::serve::rest::kind::{self, Kind, whole};
use crate::serve::rest::misfit::{self, Misfit, Why};
use crate::serve::rest::representation::ROW;
use crate::serve::sql;

/// A function that was given to `hydra.tool_register`.
pub struct Function {
    pub writes: bool,
    /// Whether everything that it does can be undone. Otherwise it has no preview, so that it is not called.
    pub is_rehearsable: bool,
    /// Its name in statements, with its schema.
    pub call: String,
    pub arguments: Vec<Argument>,
    pub returns_set: bool,
    pub shape: Shape,
    /// What its one OUT argument is named, if it has a name.
    pub member: Option<String>,
}

/// What it returns, or each row of what it returns.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    Nothing,
    Json,
    Row,
    Value,
}

/// Calls a function with arguments: the JSON text of an object, as it was sent. Returns the JSON text of an object, or why it
/// cannot; errors of the function are raised.
pub fn run(function: &Function, arguments: &str) -> Result<String, String> {
    let mut given = Given::read(function, arguments)?;
    let page = if function.has_pages() { Some(Page::take(&mut given)?) } else { None };
    given.check(function)?;
    let statement = function.statement(&given, page.as_ref());
    let most = page.as_ref().map_or(MOST, |page| page.limit);
    let (rows, has_more) = sql::all(&statement, &[given.object(&function.arguments).into()], |rows| {
        let (mut values, mut size, mut has_more) = (Vec::new(), 0, false);
        for row in rows {
            let value = function.member(row.first::<String>());
            size += value.len() + 1;
            // One that is too large is returned only to say so.
            if values.len() == most || size > LARGEST - ROOM && !values.is_empty() {
                has_more = true;
                break;
            }
            values.push(value);
        }
        (values, has_more)
    });
    let json = match function.returns_set {
        true => {
            let next = page.filter(|_| has_more).map(|page| (page.offset + rows.len()).to_string());
            format!("{{\"data\":[{}],\"has_more\":{has_more},\"next_cursor\":{}}}", rows.join(","), json!(next))
        }
        false => object(rows.into_iter().next().unwrap_or_else(|| "null".into())),
    };
    match json.len() {
        length if length > LARGEST => {
            Err(format!("The result has {length} bytes of JSON, and a tool returns at most {LARGEST}."))
        }
        _ => Ok(json),
    }
}

/// What is around the rows of a page.
const ROOM: usize = 100;

/// A value that is no object becomes a member of one, because only objects are structured results.
fn object(value: String) -> String {
    if value.trim_start().starts_with('{') { value } else { format!("{{\"result\":{value}}}") }
}

/// Which rows of a set are wanted.
struct Page {
    limit: usize,
    offset: usize,
}

impl Page {
    fn take(given: &mut Given<'_>) -> Result<Self, String> {
        let number = |value: &RawValue| whole(value.get().trim_matches('"')).parse::<usize>().ok();
        let limit = match given.0.remove("limit") {
            None => LIMIT,
            Some(limit) => number(limit)
                .filter(|limit| (1..=MOST).contains(limit))
                .ok_or_else(|| format!("The argument limit is a number from 1 to {MOST}."))?,
        };
        let offset = match given.0.remove("cursor") {
            None => 0,
            Some(cursor) => number(cursor)
                .filter(|offset| i64::try_from(*offset).is_ok())
                .ok_or("The argument cursor is not a next_cursor that this tool has returned.")?,
        };
        Ok(Self { limit, offset })
    }
}

/// Arguments by their names. One that is null is as if it were not given, unless it is JSON that must be given: null is JSON.
struct Given<'a>(BTreeMap<String, &'a RawValue>);

impl<'a> Given<'a> {
    /// Reads arguments, of which none is unknown, and checks that none is missing.
    fn read(function: &Function, arguments: &'a str) -> Result<Self, String> {
        let mut given: BTreeMap<String, &RawValue> =
            serde_json::from_str(arguments).map_err(|error| format!("The arguments cannot be read: {error}."))?;
        let is_json = |name: &String| {
            let mut required = function.arguments.iter().filter(|argument| argument.default.is_none());
            required.any(|argument| argument.name == *name && Kind::of(argument.type_oid) == Kind::Any)
        };
        given.retain(|name, value| value.get() != "null" || is_json(name));
        let is_missing = |argument: &&Argument| argument.default.is_none() && !given.contains_key(&argument.name);
        match function.arguments.iter().find(is_missing) {
            Some(argument) => Err(format!("The argument {} is missing.", argument.name)),
            None => Ok(Self(given)),
        }
    }

    fn has(&self, argument: &Argument) -> bool {
        self.0.contains_key(&argument.name)
    }

    fn is_null(&self, argument: &Argument) -> bool {
        self.0.get(&argument.name).is_some_and(|value| value.get() == "null")
    }

    /// Returns a JSON object with the arguments that are given.
    fn object(&self, arguments: &[Argument]) -> String {
        kind::object(arguments.iter().filter_map(|argument| {
            let value = self.0.get(&argument.name)?;
            Some((argument.name.as_str(), argument.type_oid, *value))
        }))
    }

    /// Fails if a value is none of the type of its argument, and names it. So an error that comes later is one of the function.
    fn check(&self, function: &Function) -> Result<(), String> {
        for argument in &function.arguments {
            let Some(value) = self.0.get(&argument.name) else { continue };
            if let Some(Misfit { path, why }) = misfit::find(argument.type_oid, value) {
                let name = format!("{}{path}", argument.name);
                return Err(match why {
                    Why::Unknown => format!("The tool has no argument {name}."),
                    Why::Repeated => format!("The argument {name} is given twice."),
                    Why::OfAnother(kind) => format!("The argument {name} must be {}.", kind.described()),
                });
            }
        }
        let given: Vec<&Argument> = function.arguments.iter().filter(|argument| self.has(argument)).collect();
        let object = self.object(&function.arguments);
        if given.is_empty() || refusal(&given, &object).is_none() {
            return Ok(());
        }
        let alone = |argument: &Argument| self.object(std::slice::from_ref(argument));
        let wrong = |argument: &&Argument| Some((argument.name.clone(), refusal(&[*argument], &alone(argument))?));
        match given.iter().find_map(wrong) {
            Some((name, why)) => Err(format!("The argument {name} is not accepted: {why}")),
            None => Err("The arguments are not accepted.".into()),
        }
    }
}

/// Returns why Postgres cannot read these arguments. Its message quotes the value that the caller gave, and no row.
fn refusal(given: &[&Argument], arguments: &str) -> Option<String> {
    let read = || sql::run(&format!("SELECT FROM {}", record(given)), &[arguments.into()]);
    let error = attempt(read).err()?;
    if must_end(&error) || deadline::is_over() {
        error.rethrow();
    }
    let report = report(&error);
    let code = sqlstate(report.sql_error_code());
    // Other errors are those of functions that a domain calls: they can be about anything.
    let is_about_value = code.starts_with("22") || code == "23514" || code == "P0001";
    Some(if is_about_value { report.message().to_owned() } else { "it is not a value of its type.".into() })
}

/// Returns an entry of a FROM clause, named `given`, with the values in columns of their types.
fn record(given: &[&Argument]) -> String {
    let columns: Vec<String> =
        given.iter().map(|argument| format!("{} {}", argument.quoted, argument.type_name)).collect();
    format!("pg_catalog.json_to_record($1::pg_catalog.text::pg_catalog.json) AS given ({})", columns.join(", "))
}

impl Function {
    /// Whether it returns rows page by page. What writes is called once for all of its rows.
    fn has_pages(&self) -> bool {
        self.returns_set && !self.writes
    }

    /// Returns a statement that calls it and returns JSON text.
    fn statement(&self, given: &Given<'_>, page: Option<&Page>) -> String {
        let value = match self.shape {
            Shape::Nothing => "NULL::pg_catalog.text".to_owned(),
            Shape::Json => format!("{ROW}::pg_catalog.text"),
            // A function that returns no row returns one whose columns are null.
            Shape::Row if !self.returns_set => {
                format!("CASE WHEN NOT {ROW} IS NULL THEN pg_catalog.to_json({ROW})::pg_catalog.text END")
            }
            Shape::Row | Shape::Value => format!("pg_catalog.to_json({ROW})::pg_catalog.text"),
        };
        let passed: Vec<String> = self.arguments.iter().map(|argument| passed(argument, given)).collect();
        let call = format!("{}({}) AS {ROW}", self.call, passed.join(", "));
        let named: Vec<&Argument> = self.arguments.iter().filter(|argument| given.has(argument)).collect();
        let from = if named.is_empty() { call } else { format!("{} CROSS JOIN LATERAL {call}", record(&named)) };
        let rows = page.map(|page| format!(" OFFSET {} LIMIT {}", page.offset, page.limit + 1)).unwrap_or_default();
        format!("SELECT {value} FROM {from}{rows}")
    }

    /// Returns a value as it is in the result: with the name of the OUT argument, if it has one.
    fn member(&self, value: Option<String>) -> String {
        let value = value.unwrap_or_else(|| "null".into());
        match &self.member {
            Some(name) if self.shape == Shape::Value => format!("{{{}:{value}}}", json!(name)),
            _ => value,
        }
    }
}

fn passed(argument: &Argument, given: &Given<'_>) -> String {
    let variadic = if argument.is_variadic { "VARIADIC " } else { "" };
    match &argument.default {
        Some(default) if !given.has(argument) => format!("{variadic}({default})::{}", argument.type_name),
        // JSON has a null of its own.
        None if given.is_null(argument) => format!("{variadic}'null'::{}", argument.type_name),
        _ => format!("{variadic}given.{}", argument.quoted),
    }
}
