//! Answers with a page of the rows of a resource.

use std::ops::ControlFlow;

use pgrx::datum::DatumWithOid;
use serde_json::json;
use wire::form;

use super::cursor::{self, Position};
use super::filter::Filter;
use super::representation::{self, ROW, etag};
use super::resource::Resource;
use super::sort::{self, Key};
use super::{Call, conditional};
use crate::backend::subtransaction::{attempt, must_end};
use crate::serve::answer::Answer;
use crate::serve::problem::{Problem, Texts};
use crate::serve::sql;
use crate::store::Row;

const DEFAULT_LIMIT: usize = 50;
const MAX_LIMIT: usize = 100;

/// A page with more bytes than this ends, whatever the limit is.
const MAX_BYTES: usize = 4 << 20;

/// So many rows are in memory at a time.
const BATCH: usize = 20;

/// A page of a list.
#[derive(Default)]
pub struct Page {
    /// The representations of its rows.
    pub rows: Vec<String>,
    /// Where the next page begins; `None` if this is the last one.
    pub next_cursor: Option<String>,
    /// The page would begin with a row that is too large. It has no rows, and the next one begins after that row.
    too_large: Option<Problem>,
}

impl Page {
    pub fn body(&self) -> String {
        let next = json!(self.next_cursor);
        let has_more = self.next_cursor.is_some();
        format!("{{\"data\":[{}],\"has_more\":{has_more},\"next_cursor\":{next}}}", self.rows.join(","))
    }
}

/// What the caller asks for.
struct Wanted<'a> {
    resource: &'a Resource,
    limit: usize,
    filters: Vec<Filter<'a>>,
    keys: Vec<Key<'a>>,
    digest: String,
    after: Option<Position>,
}

pub fn answer(call: &Call<'_>, resource: &Resource) -> Result<Answer, Problem> {
    let query = &call.request.query;
    let parameters =
        form::pairs(query.as_bytes()).ok_or_else(|| Problem::bad_request().with_detail("The query cannot be read."))?;
    let page = page(resource, &parameters)?;
    let link = page.next_cursor.as_ref().map(|cursor| format!("<{}>; rel=\"next\"", next(call, cursor)));
    if let Some(mut problem) = page.too_large {
        problem.link = link;
        return Err(problem);
    }
    let body = page.body();
    let etag = etag(&body);
    let answer = conditional(call, &etag, || Answer::json_text(200, body));
    Ok(match link {
        Some(link) => answer.with_header("link", link),
        None => answer,
    })
}

/// Returns the URL of the request with another cursor.
fn next(call: &Call<'_>, cursor: &str) -> String {
    let is_cursor =
        |field: &str| form::pairs(field.as_bytes()).is_some_and(|pairs| pairs.iter().any(|(name, _)| name == "cursor"));
    let is_kept = |field: &&str| !field.is_empty() && !is_cursor(field);
    let mut fields: Vec<&str> = call.request.query.split('&').filter(is_kept).collect();
    let cursor = format!("cursor={cursor}");
    fields.push(&cursor);
    format!("{}?{}", call.request.path, fields.join("&"))
}

/// Returns a page of a resource. `parameters` are those of the query.
pub fn page(resource: &Resource, parameters: &[(String, String)]) -> Result<Page, Problem> {
    let wanted = Wanted::read(resource, parameters)?;
    let mut page = wanted.fetch()?;
    if let Some(position) = page.position {
        page.page.next_cursor = Some(cursor::make(&wanted.digest, &position)?);
    }
    Ok(page.page)
}

impl<'a> Wanted<'a> {
    fn read(resource: &'a Resource, parameters: &[(String, String)]) -> Result<Self, Problem> {
        let (mut limit, mut cursor, mut sort) = (None, None, None);
        let mut filters: Vec<Filter<'a>> = Vec::new();
        for (field, value) in parameters {
            let own = match field.as_str() {
                "limit" => Some(&mut limit),
                "cursor" => Some(&mut cursor),
                "sort" => Some(&mut sort),
                _ => None,
            };
            let is_repeated = match own {
                Some(own) => own.replace(value.as_str()).is_some(),
                None => {
                    let filter = Filter::read(resource, field, value)?;
                    let is_same =
                        |other: &Filter<'_>| (&other.column.name, other.name) == (&filter.column.name, filter.name);
                    let is_repeated = filters.iter().any(is_same);
                    filters.push(filter);
                    is_repeated
                }
            };
            if is_repeated {
                return Err(wrong(field, "repeated_parameter", format!("The parameter {field} is given twice.")));
            }
        }
        let keys = sort::keys(resource, sort)?;
        let digest = cursor::digest(resource, &filters, &keys);
        let after = cursor.map(|cursor| cursor::read(cursor, &digest, &keys)).transpose()?;
        Ok(Self { resource, limit: read_limit(limit)?, filters, keys, digest, after })
    }

    /// Reads the rows of the page.
    fn fetch(&self) -> Result<Found, Problem> {
        let own = representation::own_rows(self.resource, 1)?;
        match attempt(|| self.fetch_stretches(own.as_ref())) {
            Ok(found) => Ok(found),
            Err(error) if must_end(&error) => error.rethrow(),
            Err(error) => {
                // No row has a tenant that is none.
                if own.is_some_and(|(_, tenant)| representation::is_no_tenant(self.resource, &tenant)) {
                    return Ok(Found::default());
                }
                Err(self.refusal().unwrap_or_else(|| Problem::of(&error, Texts::Foreign)))
            }
        }
    }

    fn fetch_stretches(&self, own: Option<&(String, String)>) -> Found {
        let (mut conditions, mut arguments) = (Vec::new(), Vec::new());
        if let Some((condition, tenant)) = own {
            conditions.push(condition.clone());
            arguments.push(tenant.as_str());
        }
        for filter in &self.filters {
            let column = format!("{ROW}.{}", filter.column.quoted);
            conditions.push(filter.condition(&column, arguments.len() + 1));
            arguments.extend(filter.values());
        }
        let mut found = Found::default();
        let Some(after) = &self.after else {
            self.fetch_stretch(&conditions, &arguments, &mut found);
            return found;
        };
        let first = arguments.len() + 1;
        arguments.extend(after.iter().map(|value| value.as_deref().unwrap_or_default()));
        let is_null: Vec<bool> = after.iter().map(Option::is_none).collect();
        for stretch in sort::stretches(&self.keys, &is_null) {
            let mut conditions = conditions.clone();
            conditions.push(sort::condition(&self.keys, &stretch, ROW, first));
            self.fetch_stretch(&conditions, &arguments, &mut found);
            if found.position.is_some() {
                break;
            }
        }
        found
    }

    /// Adds the rows of a stretch to the page, up to its limit. One row more is read, to find out whether there is one.
    fn fetch_stretch(&self, conditions: &[String], arguments: &[&str], found: &mut Found) {
        let columns = representation::columns(self.resource);
        let limit = self.limit + 1 - found.page.rows.len();
        let values: Vec<String> = (0..self.keys.len())
            .map(|number| format!("{ROW}.{} AS key_{number}", self.keys[number].column.quoted))
            .collect();
        let statement = format!(
            "SELECT {ROW}, {} FROM {} AS {ROW}{}{} ORDER BY {} LIMIT {limit}",
            values.join(", "),
            self.resource.table,
            if conditions.is_empty() { "" } else { " WHERE " },
            conditions.join(" AND "),
            sort::order(&self.keys, ROW),
        );
        let arguments: Vec<DatumWithOid<'_>> = arguments.iter().map(|argument| (*argument).into()).collect();
        sql::batches(&statement, &arguments, BATCH, |rows| {
            let row_column = rows.column(ROW);
            let key_columns: Vec<_> =
                (0..self.keys.len()).map(|number| rows.column(&format!("key_{number}"))).collect();
            let position =
                |row: &Row<'_>| -> Position { key_columns.iter().map(|column| row.output(*column)).collect() };
            let mut last = None;
            for row in rows {
                if found.page.rows.len() == self.limit || found.bytes > MAX_BYTES {
                    // There are more. What was read last is where they begin.
                    found.position = last.as_ref().map(position).or(found.last.take());
                    return ControlFlow::Break(());
                }
                let Some(text) = representation::render(&row, row_column, &columns) else {
                    found.last = last.as_ref().map(position).or(found.last.take());
                    self.end_before(position(&row), found);
                    return ControlFlow::Break(());
                };
                found.bytes += text.len();
                found.page.rows.push(text);
                last = Some(row);
            }
            found.last = last.as_ref().map(position).or(found.last.take());
            ControlFlow::Continue(())
        });
    }

    /// Ends the page before a row that is too large, or after it if there is nothing before it.
    fn end_before(&self, position: Position, found: &mut Found) {
        found.position = found.last.take().or_else(|| {
            let id = position.last().cloned().flatten().unwrap_or_default();
            found.page.too_large = Some(representation::too_large(self.resource, &id));
            Some(position)
        });
    }

    /// Returns why a value of the request could not be converted.
    fn refusal(&self) -> Option<Problem> {
        let errors: Vec<_> = self.filters.iter().filter_map(Filter::refusal).collect();
        if !errors.is_empty() {
            return Some(Problem::invalid().with_errors(errors));
        }
        let after = self.after.as_ref()?;
        let is_wrong = |(key, value): (&Key<'_>, &Option<String>)| {
            value.as_ref().is_some_and(|value| super::value::refusal("cursor", key.column, value).is_some())
        };
        self.keys.iter().zip(after).any(is_wrong).then(cursor::malformed)
    }
}

/// What was read of a page.
#[derive(Default)]
struct Found {
    page: Page,
    bytes: usize,
    /// The position of the last row.
    last: Option<Position>,
    /// The same, if there are more rows.
    position: Option<Position>,
}

fn read_limit(limit: Option<&str>) -> Result<usize, Problem> {
    let Some(text) = limit else { return Ok(DEFAULT_LIMIT) };
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse()
        .ok()
        .filter(|limit| is_number && (1..=MAX_LIMIT).contains(limit))
        .ok_or_else(|| wrong("limit", "invalid_limit", format!("The limit is a number between 1 and {MAX_LIMIT}.")))
}

fn wrong(field: &str, code: &str, detail: String) -> Problem {
    Problem::bad_request().with_error(field, code, &detail).with_detail(detail)
}
