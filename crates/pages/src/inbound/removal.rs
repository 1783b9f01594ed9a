//! Asks before an adapter is deleted, and says what is lost.

use maud::html;
use serde::Deserialize;

use super::Adapter;
use crate::figures::grouped;
use crate::layout::{Content, Visit, head};

#[derive(Deserialize)]
pub struct Data {
    adapter: Adapter,
    /// Its events that are not finished.
    pending: Option<i64>,
}

pub fn page(_: &Visit, data: &Data) -> Content {
    let adapter = &data.adapter;
    let path = adapter.path();
    let main = html! {
        (head(adapter.back(&path), html! { "Delete this adapter?" }, html! {}))
        form.card method="post" action=(format!("{path}/delete")) {
            p.url.large { (adapter.address()) }
            ul.losses {
                @if let Some(number) = data.pending.filter(|number| *number > 0) {
                    li {
                        b { (grouped(number)) }
                        (if number == 1 { " event that waits or has failed is not processed." } else { " events that wait or have failed are not processed." })
                    }
                }
                li { "Its URL stops working: requests get status 404, and most providers give up." }
                li { "Its secret and its mapping are gone. This cannot be undone." }
                li { "Its " (grouped(adapter.received)) " events stay in the database for a while and are no longer shown." }
            }
            p { "To stop it for a while, pause it instead." }
            div.submit { button.danger type="submit" { "Delete adapter" } a.button href=(path) { "Keep it" } }
        }
    };
    Content { title: "Delete this adapter?".into(), section: "inbound-adapters", main }
}
