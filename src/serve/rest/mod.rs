//! Answers requests with an API key under `/api/v1`.
//!
//! A *resource* is a table or view of the application that `hydra.api_expose` shows. The JSON object of one of its rows is
//! its *representation*; it is rendered by the code that renders the entity of a webhook.
//!
//! A request runs as the role of its key, so grants and row security of the application hold. In addition, a key with a
//! tenant sees only rows of its tenant, also where the application has no row security.
//!
//! Values come as text and are converted by Postgres, in parameters of statements. Names of columns are those of the
//! catalog, never those of a request.
//!
//! | file | what it does |
//! |---|---|
//! | `resource`, `known` | finds resources in the catalog, and keeps them |
//! | `representation` | renders rows |
//! | `kind` | knows which JSON type the values of a type have |
//! | `schema` | describes the values of a type |
//! | `attribute` | looks up what composite types and domains are made of |
//! | `misfit` | finds what in a value does not fit a type |
//! | `value` | converts values of requests to the types of columns |
//! | `list` | answers with a page of rows |
//! | `one` | answers with one row |
//! | `filter`, `sort` | read the parameters of a list |
//! | `cursor` | says where the next page begins |
//! | `own` | answers requests to our own resources: webhooks, deliveries, events, flows |
//! | `describe` | describes all of it: OpenAPI, links, and a page for people |
//! | `write` | creates, changes and removes rows |

use std::rc::Rc;

use serde_json::json;

use super::answer::Answer;
use super::identity::{self, ApiKey};
use super::problem::Problem;
use super::request::Request;
use crate::backend::fixed_settings::with_fixed_settings;
use resource::Resource;

pub mod attribute;
pub mod cursor;
mod describe;
pub mod filter;
pub mod kind;
mod known;
pub mod list;
pub mod misfit;
pub mod one;
mod own;
pub mod representation;
pub mod resource;
pub mod schema;
pub mod sort;
pub mod value;
pub mod write;

/// A request, and the key that it was made with.
pub struct Call<'a> {
    pub request: &'a Request,
    pub key: &'a ApiKey,
}

pub fn answer(request: &Request) -> Result<Answer, Problem> {
    // Before the path is looked at, so that who has no key does not learn which paths there are.
    let key = identity::api_key(request)?;
    let answer = key.act(|| with_fixed_settings(|| route(&Call { request, key: &key })));
    // Also with a problem, so that the gateway counts the request.
    Ok(answer
        .unwrap_or_else(|problem| Answer::problem(&problem, &request.id))
        .with_header("hydra-key", key.id.to_string())
        .with_header("hydra-quota", key.requests_per_minute.to_string()))
}

pub fn route(call: &Call<'_>) -> Result<Answer, Problem> {
    match call.request.segments()[..] {
        ["api", "v1", "me"] if call.request.reads() => Ok(me(call.key)),
        ["api", "v1", "me"] => Err(Problem::method_not_allowed("GET")),
        ["api", "v1"] | ["api", "v1", ""] => describe::root(call),
        ["api", "v1", "openapi.json"] => describe::document(call),
        ["api", "v1", name, ref rest @ ..] if own::find(name).is_some() => {
            own::answer(call, own::find(name).expect("it was found"), rest)
        }
        ["api", "v1", name] => collection(call, &*found(call, name)?),
        ["api", "v1", name, id] => item(call, &*found(call, name)?, id),
        _ => Err(Problem::not_found()),
    }
}

/// Answers a request to all rows of a resource.
fn collection(call: &Call<'_>, resource: &Resource) -> Result<Answer, Problem> {
    match call.request.method.as_str() {
        "GET" | "HEAD" => {
            require(call, &format!("{}:read", resource.name))?;
            list::answer(call, resource)
        }
        _ => write::collection(call, resource),
    }
}

/// Answers a request to one row of a resource.
fn item(call: &Call<'_>, resource: &Resource, id: &str) -> Result<Answer, Problem> {
    match call.request.method.as_str() {
        "GET" | "HEAD" => {
            require(call, &format!("{}:read", resource.name))?;
            one::answer(call, resource, id)
        }
        _ => write::item(call, resource, id),
    }
}

/// Returns the resource of this name. To a key with a tenant, a resource without a tenant column does not exist: nothing
/// would keep the rows of other tenants from it.
pub fn found(call: &Call<'_>, name: &str) -> Result<Rc<Resource>, Problem> {
    resource::find(name)
        .filter(|resource| call.key.tenant.is_none() || resource.tenant_column.is_some())
        .ok_or_else(Problem::not_found)
}

/// Fails if the key does not have this scope.
pub fn require(call: &Call<'_>, scope: &str) -> Result<(), Problem> {
    match call.key.scopes.iter().any(|own| own == scope) {
        true => Ok(()),
        false => Err(Problem::insufficient_scope(scope)),
    }
}

/// Returns the answer with its ETag, or that the caller has it already.
pub fn conditional(call: &Call<'_>, etag: &str, answer: impl FnOnce() -> Answer) -> Answer {
    let headers = call.request.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("if-none-match"));
    let mut known = headers.flat_map(|(_, value)| value.split(',')).map(str::trim);
    // As RFC 9110 says, a weak tag is as good here.
    let is_known = known.any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag);
    let answer = if is_known { Answer::not_modified() } else { answer() };
    answer.with_header("etag", etag)
}

fn me(key: &ApiKey) -> Answer {
    Answer::json(
        200,
        &json!({"key": key.id, "tenant_id": key.tenant, "role": key.role_name, "scopes": key.scopes,
                "requests_per_minute": key.requests_per_minute}),
    )
}
