//! The list of API keys, and the question before one is revoked.

use maud::{Markup, html};
use serde::Deserialize;

use crate::figures::grouped;
use crate::layout::{Content, Visit, head, snippet};
use crate::state::{self, badge};

#[derive(Deserialize)]
pub struct Key {
    pub id: i64,
    pub name: String,
    prefix: Option<String>,
    #[serde(default)]
    scopes: Vec<String>,
    tenant_id: Option<String>,
    role: String,
    approval: Option<String>,
    requests_per_minute: Option<i64>,
    created_at: Option<String>,
    created_by: Option<String>,
    expires_at: Option<String>,
    revoked_at: Option<String>,
    last_used_at: Option<String>,
    state: String,
}

#[derive(Deserialize)]
pub struct List {
    api_keys: Vec<Key>,
}

#[derive(Deserialize)]
pub struct One {
    api_key: Key,
}

pub fn page(visit: &Visit, data: &List) -> Content {
    let new = html! { a.button.primary href="/settings/api-keys/new" { "New API key" } };
    let main = html! {
        (head(None, html! { "API keys" }, html! { @if visit.may_manage() && !data.api_keys.is_empty() { (new) } }))
        p.lead { "With a key, a program uses the API. What it may do depends on the scopes and the role of the key." }
        @if data.api_keys.is_empty() {
            div.empty {
                h2 { "No API keys yet" }
                @if visit.may_manage() {
                    p { "Make one for each program, so that each can be revoked by itself." }
                    p { (new) }
                    p.hint { "Or in SQL:" }
                    (snippet("SELECT * FROM hydra.api_key_create('CI', '{webhooks:read}');"))
                } @else {
                    p { "An admin can make one." }
                }
            }
        } @else {
            ul.rows { @for key in &data.api_keys { (row(visit, key)) } }
        }
    };
    Content { title: "API keys".into(), section: "api-keys", main }
}

fn row(visit: &Visit, key: &Key) -> Markup {
    let (weight, words) = state::of_key(&key.state);
    html! {
        li.row.key {
            div.what {
                h2 { (key.name) }
                @if let Some(prefix) = &key.prefix { p.url { (prefix) "…" } }
                (scopes(key))
            }
            div.how {
                p { (badge(weight, words)) }
                p.minor { (times(visit, key)) }
            }
            div.day {
                p.minor {
                    "Role " (key.role)
                    @if let Some(tenant) = &key.tenant_id { " · tenant " (tenant) }
                }
                @if let Some(limit) = key.requests_per_minute { p.minor { (grouped(limit)) " requests a minute" } }
            }
            @if visit.may_manage() && key.state == "active" {
                @let path = format!("/settings/api-keys/{}", key.id);
                div.buttons {
                    a.button.small href=(format!("{path}/rotate")) { "Rotate" span.hidden { " " (key.name) } }
                    a.button.small.danger href=(format!("{path}/revoke")) { "Revoke" span.hidden { " " (key.name) } }
                }
            }
        }
    }
}

fn scopes(key: &Key) -> Markup {
    html! { ul.chips aria-label="Scopes" { @for scope in &key.scopes { li { (scope) } } } }
}

fn times(visit: &Visit, key: &Key) -> Markup {
    html! {
        @if let Some(at) = &key.revoked_at {
            "revoked " (visit.now.tell(at))
        } @else {
            @match &key.last_used_at { Some(at) => { "last used " (visit.now.tell(at)) }, None => "never used" }
            @if let Some(end) = &key.expires_at {
                " · " (if key.state == "expired" { "ended " } else { "ends " }) (visit.now.tell(end))
            }
        }
    }
}

/// What a key is, for the pages about one.
pub fn facts(visit: &Visit, key: &Key) -> Markup {
    html! {
        dl.facts {
            div { dt { "Name" } dd { (key.name) } }
            @if let Some(prefix) = &key.prefix { div { dt { "Begins with" } dd { code { (prefix) } } } }
            div { dt { "Scopes" } dd { (scopes(key)) } }
            div { dt { "Role" } dd { (key.role) } }
            @if let Some(tenant) = &key.tenant_id { div { dt { "Tenant" } dd { (tenant) } } }
            @if let Some(approval) = &key.approval { div { dt { "Approval" } dd { (approval) } } }
            @if let Some(end) = &key.expires_at { div { dt { "Ends" } dd { (visit.now.tell(end)) } } }
            @if let Some(at) = &key.created_at {
                div {
                    dt { "Created" }
                    dd { (visit.now.tell(at)) @if let Some(role) = &key.created_by { " by " (role) } }
                }
            }
            div {
                dt { "Last used" } dd { @match &key.last_used_at { Some(at) => (visit.now.tell(at)), None => "never" } }
            }
        }
    }
}

pub fn revocation(visit: &Visit, data: &One) -> Content {
    let key = &data.api_key;
    let main = html! {
        (head(Some(("/settings/api-keys", "API keys")), html! { "Revoke the key “" (key.name) "”?" }, html! {}))
        form.card method="post" action=(format!("/settings/api-keys/{}/revoke", key.id)) {
            (facts(visit, key))
            p {
                "Requests with this key are refused at once. This cannot be undone. To replace it without a break, rotate it instead."
            }
            div.submit { button.danger type="submit" { "Revoke key" } a.button href="/settings/api-keys" { "Keep it" } }
        }
    };
    Content { title: "Revoke the key?".into(), section: "api-keys", main }
}
