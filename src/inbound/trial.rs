//! Says what would become of a request, stage by stage. Nothing is written, and no flow runs.
//!
//! A request that was refused can be tried against a scheme before the adapter gets it.

use std::time::{SystemTime, UNIX_EPOCH};

use ::inbound::{Arriving, Denied, Verdict, payload, verify};
use pgrx::JsonB;
use pgrx::prelude::*;
use serde_json::Value;

use super::adapter::{self, Adapter};
use super::incoming::{self, Incoming};
use super::manage::{self, parsed, parsed_scheme, text_of};
use super::mapped::map;
use super::mime;
use crate::backend::refuse::refuse;
use crate::emit::RawJsonb;
use crate::store::{columns, read_once};
use crate::tables;

columns!(Columns { method, query, headers, body, size, refused_at });

/// Few events stand for all that a request has.
const SHOWN: usize = 20;

struct Tried {
    method: String,
    query: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    at: SystemTime,
}

type Stage = (String, bool, String);

/// Says what would become of a request to an adapter, or of one that was refused.
#[pg_extern]
#[search_path(pg_catalog, pg_temp)]
#[allow(clippy::too_many_arguments)] // parts of a request
#[allow(clippy::type_complexity)] // pgrx reads the columns off the type
fn inbound_try(
    id: Option<i64>,
    headers: default!(Option<RawJsonb>, "NULL"),
    body: default!(Option<&[u8]>, "NULL"),
    method: default!(Option<&str>, "'POST'"),
    query: default!(Option<&str>, "NULL"),
    scheme: default!(Option<RawJsonb>, "NULL"),
    refused_id: default!(Option<i64>, "NULL"),
) -> TableIterator<'static, (name!(stage, String), name!(ok, bool), name!(says, String))> {
    let mut adapter = id.and_then(adapter::of_id).unwrap_or_else(|| manage::refuse_unknown(id));
    if let Some(scheme) = text_of(scheme, "scheme") {
        adapter.scheme = parsed_scheme(&scheme);
    }
    let headers = text_of(headers, "headers").map(|headers| parsed(&headers, "headers"));
    let tried = match refused_id {
        Some(refused) => tables::as_owner(|| kept(refused, adapter.id)),
        None => Tried {
            method: method.unwrap_or("POST").to_owned(),
            query: query.unwrap_or_default().to_owned(),
            headers: headers.map_or(Vec::new(), |headers| pairs(&headers)),
            body: body.unwrap_or_default().to_vec(),
            at: SystemTime::now(),
        },
    };
    TableIterator::new(stages(&adapter, &tried))
}

fn stages(adapter: &Adapter, tried: &Tried) -> Vec<Stage> {
    let mut stages = Vec::new();
    if adapter.is_paused {
        stages.push(("paused".to_owned(), false, "the adapter is paused: requests get status 503".to_owned()));
    }
    let events = match verified(adapter, tried, &mut stages) {
        Ok(Some(events)) => events,
        Ok(None) => return stages,
        Err(denied) => {
            let says = match denied.detail {
                Some(detail) => format!("{}: {detail}", denied.reason),
                None => denied.reason,
            };
            stages.push((denied.stage.to_string(), false, says));
            return stages;
        }
    };
    stages.push(("events".into(), true, format!("{} in the request", events.len())));
    stages.extend(events.iter().take(SHOWN).map(|incoming| mapped(adapter, incoming)));
    stages
}

fn verified(adapter: &Adapter, tried: &Tried, stages: &mut Vec<Stage>) -> Result<Option<Vec<Incoming>>, Denied> {
    let credentials = match adapter.credentials() {
        Ok(credentials) => credentials,
        Err(says) => {
            stages.push(("secret".into(), false, says.into()));
            return Ok(None);
        }
    };
    let url = match tried.query.is_empty() {
        true => credentials.url,
        false => format!("{}?{}", credentials.url, tried.query),
    };
    let arriving =
        Arriving { method: &tried.method, url: &url, headers: &tried.headers, query: &tried.query, body: &tried.body };
    let at = tried.at.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as i64;
    let mut accepted = match verify(&adapter.scheme, &credentials.secrets, &arriving, at)? {
        Verdict::Handshake(reply) => {
            stages.push(("handshake".into(), true, format!("answered with status {}", reply.status)));
            return Ok(None);
        }
        Verdict::Accepted(accepted) => accepted,
    };
    stages.extend(accepted.steps.iter().map(|step| (step.stage.to_string(), true, step.says.clone())));
    if adapter.provider == mime::PROVIDER {
        stages.push(("events".into(), true, "a message of mail, for the channel that names this adapter".into()));
        return Ok(None);
    }
    let value = accepted.payload.take().map_or_else(|| payload(&arriving), Ok)?;
    match incoming::events(adapter, accepted, value, &tried.body) {
        Ok(events) => Ok(Some(events)),
        Err(reason) => {
            stages.push(("events".into(), false, reason));
            Ok(None)
        }
    }
}

fn mapped(adapter: &Adapter, incoming: &Incoming) -> Stage {
    let id = incoming.external_id.as_deref().unwrap_or("none");
    match map(adapter, incoming) {
        Ok(mapped) => {
            let entity = mapped.entity_id.as_deref().unwrap_or("without an id");
            let says = format!("{} about {} {entity}; id of the event: {id}", mapped.event_type, mapped.entity_type);
            ("mapping".into(), true, says)
        }
        Err(reason) => ("mapping".into(), false, format!("{reason}; id of the event: {id}")),
    }
}

/// Returns a request that was refused, as it was at that time.
fn kept(id: i64, adapter: i64) -> Tried {
    const LOAD: &str = include_str!("../../sql/queries/load_inbound_refused.sql");
    let found = read_once(LOAD, &[id.into(), adapter.into()], |mut rows| {
        let columns = Columns::of(&rows);
        rows.next().map(|row| {
            let tried = Tried {
                method: row.value(columns.method),
                query: row.maybe(columns.query).unwrap_or_default(),
                headers: pairs(&row.value::<JsonB>(columns.headers).0),
                body: row.value(columns.body),
                at: row.time(columns.refused_at).expect("a time that is not null"),
            };
            (tried, row.value::<i32>(columns.size))
        })
    });
    let Some((tried, size)) = found else {
        refuse(
            PgSqlErrorCode::ERRCODE_UNDEFINED_OBJECT,
            format!("refused request {id} of inbound adapter {adapter} does not exist"),
            "The latest 20 of each adapter are kept.",
            "SELECT id, reason FROM hydra.inbound_refusals lists them.",
        )
    };
    if size as usize > tried.body.len() {
        refuse(
            PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
            format!("the body of refused request {id} was not kept whole"),
            &format!("It has {size} bytes, and the first {} are kept.", tried.body.len()),
            "Pass headers and body of a smaller request.",
        )
    }
    tried
}

/// Reads headers: an object of names and values, or an array of pairs.
fn pairs(headers: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    match headers {
        Value::Object(headers) => headers.iter().map(|(name, value)| (name.clone(), text(value))).collect(),
        Value::Array(pairs) => {
            let pair = |pair: &Value| Some((pair.get(0)?.as_str()?.to_owned(), text(pair.get(1)?)));
            pairs.iter().filter_map(pair).collect()
        }
        Value::Null => Vec::new(),
        _ => refuse(
            PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE,
            "invalid headers",
            "Headers are an object of names and values, or an array of pairs.",
            r#"For example '{"X-GitHub-Event": "issues"}'."#,
        ),
    }
}
