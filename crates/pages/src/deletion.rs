//! Asks before a webhook is deleted, and says what is lost.

use maud::html;
use serde::Deserialize;

use crate::figures::grouped;
use crate::layout::{Content, Visit, head};
use crate::model::Webhook;

#[derive(Deserialize)]
pub struct Data {
    webhook: Webhook,
}

pub fn page(_: &Visit, data: &Data) -> Content {
    let webhook = &data.webhook;
    let path = webhook.path();
    let lost = [
        (webhook.pending, "waiting delivery is not sent", "waiting deliveries are not sent"),
        (webhook.missed, "event that it missed is dropped", "events that it missed are dropped"),
    ];
    let main = html! {
        (head(Some((&path, webhook.title())), html! { "Delete this webhook?" }, html! {}))
        form.card method="post" action=(format!("{path}/delete")) {
            p.url.large { (webhook.url) }
            ul.losses {
                @for (number, one, many) in lost {
                    @if let Some(number) = number.filter(|number| *number > 0) {
                        li { b { (grouped(number)) } " " (if number == 1 { one } else { many }) "." }
                    }
                }
                li { "Its signing secret and its settings are gone. This cannot be undone." }
                @if let Some(failed) = webhook.failed.filter(|number| *number > 0) {
                    li {
                        (grouped(failed)) " given up, and the history, stay in the database but cannot be sent again."
                    }
                } @else {
                    li { "Its history stays in the database." }
                }
            }
            p { "To stop it for a while, pause it instead." }
            div.submit { button.danger type="submit" { "Delete webhook" } a.button href=(path) { "Keep it" } }
        }
    };
    Content { title: "Delete this webhook?".into(), section: "webhooks", main }
}
