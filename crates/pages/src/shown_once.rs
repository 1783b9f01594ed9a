//! Secrets and keys that were just made. They are on one page, once: the database keeps what they can be checked with.

use maud::{Markup, html};
use serde::Deserialize;
use serde_json::Value;

use crate::api_keys::{Key, facts};
use crate::layout::{Content, Visit, button, head};
use crate::model::Webhook;
use crate::moment::interval;

#[derive(Deserialize)]
pub struct NewWebhook {
    id: i64,
    name: Option<String>,
    url: String,
    secret: String,
}

#[derive(Deserialize)]
pub struct NewSecret {
    webhook: Webhook,
    secret: String,
    overlap: Option<Value>,
}

#[derive(Deserialize)]
pub struct NewKey {
    api_key: Key,
    key: String,
    overlap: Option<Value>,
}

/// A click on the secret selects all of it.
fn secret(label: &str, value: &str) -> Markup {
    html! {
        div.secret {
            p.label #secret { (label) }
            code aria-labelledby="secret" { (value) }
            p.warn { b { "Copy it now." } " It is shown only here and cannot be read again." }
        }
    }
}

pub fn created_webhook(_: &Visit, data: &NewWebhook) -> Content {
    let path = format!("/settings/webhooks/{}", data.id);
    let main = html! {
        (head(Some(("/settings/webhooks", "Webhooks")), html! { "Webhook created" }, html! {}))
        p.url.large { @if let Some(name) = &data.name { b { (name) } " " } (data.url) }
        section.card {
            (secret("Signing secret", &data.secret))
            h2 { "What to do next" }
            ol.steps {
                li { "Keep the secret where your endpoint reads it from, such as its environment." }
                li {
                    "Let the endpoint verify the signature of each request, over the bytes of the body as they were received."
                }
                li { "Send a test, and see what your endpoint answers." }
            }
            div.submit {
                (button(&format!("{path}/test"), "primary", html! { "Send test" }))
                a.button href=(path) { "Go to the webhook" }
            }
        }
    };
    Content { title: "Webhook created".into(), section: "webhooks", main }
}

fn overlap(overlap: Option<&Value>, what: &str) -> Markup {
    let words = overlap.and_then(Value::as_str).map(interval).filter(|words| words != "0 s");
    html! {
        @match words {
            Some(words) => p { "The old " (what) " is valid for another " b { (words) } "." },
            None => p { "The old " (what) " is no longer valid." },
        }
    }
}

pub fn rotated_webhook(_: &Visit, data: &NewSecret) -> Content {
    let path = data.webhook.path();
    let main = html! {
        (head(Some((&path, data.webhook.title())), html! { "New signing secret" }, html! {}))
        section.card {
            (secret("Signing secret", &data.secret))
            (overlap(data.overlap.as_ref(), "secret"))
            p { "Give the new one to your endpoint, and then send a test." }
            div.submit {
                (button(&format!("{path}/test"), "primary", html! { "Send test" }))
                a.button href=(path) { "Go to the webhook" }
            }
        }
    };
    Content { title: "New signing secret".into(), section: "webhooks", main }
}

fn key(title: &str, visit: &Visit, data: &NewKey, more: Markup) -> Content {
    let main = html! {
        (head(Some(("/settings/api-keys", "API keys")), html! { (title) }, html! {}))
        section.card {
            (secret("Key", &data.key))
            (more)
            p { "Send it with each request:" }
            (crate::layout::snippet("Authorization: Bearer <key>"))
            (facts(visit, &data.api_key))
            div.submit { a.button.primary href="/settings/api-keys" { "Go to the API keys" } }
        }
    };
    Content { title: title.into(), section: "api-keys", main }
}

pub fn created_key(visit: &Visit, data: &NewKey) -> Content {
    key("API key created", visit, data, html! {})
}

pub fn rotated_key(visit: &Visit, data: &NewKey) -> Content {
    key("New key", visit, data, overlap(data.overlap.as_ref(), "key"))
}
