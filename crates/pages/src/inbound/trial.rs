//! Tries a request, and shows what each stage says about it.

use maud::{Markup, html};
use serde::Deserialize;

use super::{Adapter, Refused, entries};
use crate::field::{self, Kind, LINE, sentence};
use crate::layout::{Content, Visit, head};
use crate::model::Form;
use crate::state::{Weight, badge};

#[derive(Deserialize)]
pub struct Data {
    adapter: Adapter,
    form: Form,
    #[serde(default)]
    refused: Vec<Refused>,
    stages: Option<Vec<Stage>>,
}

#[derive(Deserialize)]
struct Stage {
    stage: String,
    ok: Option<bool>,
    says: Option<String>,
}

pub fn page(visit: &Visit, data: &Data) -> Content {
    let path = data.adapter.path();
    let form = &data.form;
    let main = html! {
        (head(data.adapter.back(&path), html! { "Try a request" }, html! {}))
        p.lead { "What this adapter would do with a request. Nothing is changed, no flow runs, and nothing is kept." }
        (field::summary(form))
        @if let Some(stages) = &data.stages { (outcome(stages)) }
        form.card method="post" action=(format!("{path}/try")) novalidate {
            @if !data.refused.is_empty() { (requests(visit, form, &data.refused)) }
            (field::input(form, "headers", Kind::Lines(5), html! {
                "One in a line, such as " code { "X-GitHub-Event: issues" } ", with the signature."
            }))
            (field::input(form, "body", Kind::Lines(8), html! { "As it was sent, byte for byte." }))
            details open[!form.value("scheme").is_empty() || form.refusals("scheme").next().is_some() || !form.value("query").is_empty()] {
                summary { "Query, and another scheme" }
                (field::input(form, "query", LINE, html! { "The part of the URL after " code { "?" } ", if there is one." }))
                (field::input(form, "scheme", Kind::Lines(4), html! {
                    "Verify as this scheme says, in JSON, to see whether it works before the adapter gets it. Empty: that of the adapter."
                }))
            }
            div.submit { button.primary type="submit" { "Try" } a.button href=(path) { "Back" } }
        }
    };
    let title = if form.errors.is_empty() { "Try a request" } else { "Error: Try a request" };
    Content { title: title.into(), section: "inbound-adapters", main }
}

fn requests(visit: &Visit, form: &Form, refused: &[Refused]) -> Markup {
    let chosen = form.value("refused");
    let described = field::described_by(form, "refused", true);
    html! {
        div.field {
            label for="field-refused" { "Request" }
            p.hint #hint-refused { "One that was refused can be tried as it came. Otherwise fill in the fields below." }
            (field::errors(form, "refused"))
            select #field-refused name="refused" aria-describedby=[described] {
                option value="" selected[chosen.is_empty()] { "Headers and body below" }
                @for request in refused {
                    @let id = request.id.to_string();
                    option value=(id) selected[chosen == id] {
                        "Refused " (visit.now.words(&request.refused_at)) ", "
                        (entries::stage(request.stage.as_deref().unwrap_or("request")).to_lowercase())
                        @if let Some(reason) = &request.reason { ": " (reason) }
                    }
                }
            }
        }
    }
}

fn outcome(stages: &[Stage]) -> Markup {
    let failed = stages.iter().find(|stage| stage.ok == Some(false));
    let class = if failed.is_some() { "bad" } else { "good" };
    html! {
        div class={ "alert " (class) } role="status" {
            h2 {
                @match failed {
                    Some(stage) => { "It would stop at: " (entries::stage(&stage.stage).to_lowercase()) },
                    None => "It would be accepted",
                }
            }
            ol.stages { @for stage in stages { (row(stage)) } }
        }
    }
}

fn row(stage: &Stage) -> Markup {
    let (weight, words) = match stage.ok {
        Some(true) => (Weight::Good, "Yes"),
        Some(false) => (Weight::Bad, "No"),
        None => (Weight::Quiet, "Skipped"),
    };
    html! {
        li {
            span.label { (entries::stage(&stage.stage)) }
            span { (badge(weight, words)) }
            @if let Some(says) = stage.says.as_ref().filter(|says| !says.is_empty()) { span { (sentence(says)) } }
        }
    }
}
