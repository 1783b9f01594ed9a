//! Asks before a secret or a key is replaced.

use maud::{Markup, html};
use serde::Deserialize;

use crate::api_keys::{Key, facts};
use crate::field::{self, SHORT};
use crate::layout::{Content, Visit, head};
use crate::model::{Form, Webhook};

#[derive(Deserialize)]
pub struct OfWebhook {
    webhook: Webhook,
    form: Form,
    may_overlap: Option<bool>,
}

#[derive(Deserialize)]
pub struct OfKey {
    api_key: Key,
    form: Form,
}

pub fn of_webhook(_: &Visit, data: &OfWebhook) -> Content {
    let path = data.webhook.path();
    let prefix = data.webhook.secret_prefix.as_deref().unwrap_or("whsec_");
    let main = html! {
        (head(Some((&path, data.webhook.title())), html! { "Rotate the signing secret" }, html! {}))
        (field::summary(&data.form))
        (form(&path, &data.form, html! {
            p { "A new secret replaces " code { (prefix) "…" } ". It is shown once, on the next page." }
            @if data.may_overlap == Some(false) {
                p {
                    "Requests of this webhook have room for one signature, so the old secret ends at once: signatures fail to verify until your endpoint has the new one."
                }
                (field::errors(&data.form, "overlap"))
            } @else {
                (field::input(&data.form, "overlap", SHORT, html! {
                    "For this time requests are signed with both secrets, such as " code { "1 day" } ", at most 30 days. Empty: the old one ends at once."
                }))
            }
        }, "Make a new secret"))
    };
    Content { title: "Rotate the signing secret".into(), section: "webhooks", main }
}

pub fn of_key(visit: &Visit, data: &OfKey) -> Content {
    let path = format!("/settings/api-keys/{}", data.api_key.id);
    let main = html! {
        (head(Some(("/settings/api-keys", "API keys")), html! { "Rotate the key “" (data.api_key.name) "”" }, html! {}))
        (field::summary(&data.form))
        (form(&path, &data.form, html! {
            p { "A new key with the same rights replaces this one. It is shown once, on the next page." }
            (facts(visit, &data.api_key))
            (field::input(&data.form, "overlap", SHORT, html! {
                "For this time both keys are accepted, such as " code { "1 day" } ". Empty: the old one ends at once."
            }))
        }, "Make a new key"))
    };
    Content { title: "Rotate the key".into(), section: "api-keys", main }
}

fn form(path: &str, form: &Form, content: Markup, button: &str) -> Markup {
    let back = if path.starts_with("/settings/api-keys") { "/settings/api-keys" } else { path };
    html! {
        form.card method="post" action=(format!("{path}/rotate")) novalidate {
            (field::hidden(form))
            (content)
            div.submit { button.primary type="submit" { (button) } a.button href=(back) { "Cancel" } }
        }
    }
}
