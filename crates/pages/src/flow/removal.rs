//! Asks before a flow is deleted.

use maud::html;
use serde::Deserialize;

use super::{Flow, runs_in_figures};
use crate::layout::{Content, Visit, head};

#[derive(Deserialize)]
pub struct Data {
    flow: Flow,
}

pub fn page(_: &Visit, data: &Data) -> Content {
    let flow = &data.flow;
    let path = flow.path();
    let main = html! {
        (head(Some((&path, &flow.name)), html! { "Delete this flow?" }, html! {}))
        form.card method="post" action=(format!("{path}/delete")) {
            @if let Some(function) = &flow.function { p.url.large { (function) } }
            ul.losses {
                @if flow.state == "deployed" { li { "It is deployed: nothing runs in its place for events of " code { (flow.event) } "." } }
                li { "Its " (runs_in_figures(flow.runs)) " runs are no longer shown. This cannot be undone." }
                li { "Its function, and what it has done, stay." }
            }
            p { "To stop it for a while, pause it instead." }
            div.submit { button.danger type="submit" { "Delete flow" } a.button href=(path) { "Keep it" } }
        }
    };
    Content { title: "Delete this flow?".into(), section: "flows", main }
}
