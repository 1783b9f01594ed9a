//! Describes the REST API of a database, as one API key sees it: the OpenAPI 3.1 document, and the list of links at its root.
//!
//! The description is made of what the catalogue says about the resources, not of a file that somebody keeps up to date. It has
//! only what the scopes of the key let it do, so nobody learns of a table that may not be read. What the API answers must fit:
//! the tests let schemathesis compare the two.
//!
//! This crate uses no Postgres. The extension fills in [`Api`].
//!
//! | module | content |
//! |---|---|
//! | `types` | types of Postgres as JSON schemas |
//! | `column` | columns of a resource |
//! | `resource` | paths and schemas of a table or view of the application |
//! | `function` | arguments of a function of the application, which is a tool |
//! | `parameters` | what a list can be asked for, and what a change can be sent with |
//! | `changes` | operations that change something |
//! | `own` | paths and schemas of our own resources: webhooks, deliveries, events, flows |
//! | `events` | the requests of webhooks |
//! | `responses` | answers, their headers, and problems |
//! | `pruned` | removes what nothing refers to |

use serde_json::{Map, Value, json};

mod changes;
mod column;
mod events;
mod function;
pub mod own;
mod parameters;
mod pruned;
mod resource;
mod responses;
#[cfg(test)]
mod tests;
mod types;

pub use column::Column;
pub use events::EventType;
pub use function::{Argument, Function};
pub use resource::Resource;
pub use types::{Type, or_null};

/// Where the API begins.
pub const ROOT: &str = "/api/v1";

/// What one key can do, and with what.
#[derive(Debug)]
pub struct Api {
    pub title: String,
    /// What all URLs begin with; empty: that of the document.
    pub public_url: String,
    pub scopes: Vec<String>,
    /// Whether the key is limited to a tenant.
    pub has_tenant: bool,
    /// Those that the key may read or write.
    pub resources: Vec<Resource>,
    pub event_types: Vec<EventType>,
    pub comments: own::Comments,
}

impl Api {
    fn may(&self, scope: &str) -> bool {
        self.scopes.iter().any(|own| own == scope)
    }

    fn may_read(&self, resource: &Resource) -> bool {
        self.may(&format!("{}:read", resource.name))
    }

    fn may_write(&self, resource: &Resource) -> bool {
        self.may(&format!("{}:write", resource.name))
    }

    fn own(&self) -> impl Iterator<Item = &'static own::Own> {
        own::ALL.into_iter().filter(|own| own.scopes.iter().any(|scope| self.may(scope)))
    }

    fn server(&self) -> String {
        format!("{}{ROOT}", self.public_url)
    }
}

/// A path or a schema, under its name.
type Named = (String, Value);

/// Returns the OpenAPI document.
pub fn document(api: &Api) -> Value {
    let (mut paths, mut schemas) = (Vec::new(), responses::schemas());
    let mut tags = vec![json!({"name": "api", "description": "This description, and the key that is used."})];
    paths.extend(own::paths_of_all());
    schemas.extend(own::schemas_of_all());
    for resource in &api.resources {
        let (may_read, may_write) = (api.may_read(resource), api.may_write(resource));
        let found = resource.paths(may_read, may_write);
        if found.is_empty() {
            continue;
        }
        paths.extend(found);
        schemas.extend(resource.schemas());
        tags.push(json!({"name": resource.name, "description": resource.described()}));
    }
    for own in api.own() {
        paths.extend(own.paths(|scope| api.may(scope)));
        schemas.extend(own.schemas(&api.comments, api.has_tenant));
        tags.push(json!({"name": own.name, "description": own.description}));
    }
    let mut document = json!({
        "openapi": "3.1.0",
        "info": {"title": api.title, "version": "1", "summary": SUMMARY, "description": DESCRIPTION},
        "servers": [{"url": api.server()}],
        "security": [{"bearer": []}],
        "tags": tags,
        "paths": object(paths),
        "components": {
            "securitySchemes": {"bearer": {
                "type": "http", "scheme": "bearer",
                "description": "An API key. Send it as `Authorization: Bearer hyk_…`.",
            }},
            "schemas": object(schemas),
            "responses": object(responses::responses()),
            "headers": object(responses::headers()),
            "parameters": object(parameters::shared()),
        },
    });
    if own::may_see_webhooks(|scope| api.may(scope)) {
        document["webhooks"] = object(api.event_types.iter().map(|event| event.webhook()));
        document["tags"].as_array_mut().expect("an array").push(json!({
            "name": "events",
            "description": "What is sent to webhooks. Bodies and signatures are those of the preset `standard` (Standard Webhooks).",
        }));
    }
    pruned::prune(&mut document);
    document
}

/// Returns what the root of the API answers to a program: where everything is.
pub fn links(api: &Api) -> Value {
    let at = |name: &str| format!("{}/{name}", api.server());
    let resource = |resource: &Resource| {
        let methods = resource.methods(api.may_read(resource), api.may_write(resource));
        json!({"name": resource.name, "url": at(&resource.name), "description": resource.described(), "methods": methods})
    };
    let own = |own: &own::Own| json!({"name": own.name, "url": at(own.name), "description": own.description, "methods": own.methods(|scope| api.may(scope))});
    let is_usable =
        |resource: &&Resource| !resource.methods(api.may_read(resource), api.may_write(resource)).is_empty();
    json!({
        "openapi": at("openapi.json"),
        "me": at("me"),
        "resources": api.resources.iter().filter(is_usable).map(resource).chain(api.own().map(own)).collect::<Vec<_>>(),
    })
}

fn object(named: impl IntoIterator<Item = Named>) -> Value {
    named.into_iter().collect::<Map<_, _>>().into()
}

const SUMMARY: &str = "Reads and writes rows of the application";

const DESCRIPTION: &str = "\
A row is a JSON object with the members and the values that webhooks send.

**Lists** have at most `limit` rows. While `has_more` is true, the next ones are at `next_cursor`, and in the header `Link`. \
Filters are columns: `status=open`, `created_at[gte]=2026-01-01`. `sort=-created_at` begins with the newest.

**Changes** can be sent with `Idempotency-Key`, so that a request that is repeated has its effect once, with `If-Match`, so that \
nobody else's change is overwritten, and with `Prefer: tx=rollback`, which returns what would happen and changes nothing.

**Problems** have the media type `application/problem+json` (RFC 9457). `type` says what kind it is, `errors` which members \
of the body are meant, and `request_id` is what to name when you ask for help.

**Limits**: a key has a number of requests in a minute. The headers `RateLimit` say what is left.";
