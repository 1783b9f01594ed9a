//! Whether events are sent, and which gateways run.

use maud::{Markup, html};
use serde::Deserialize;

use crate::field::sentence;
use crate::figures::grouped;
use crate::layout::{Content, Visit, head};
use crate::model::Worker;
use crate::state::{self, Weight, badge};

#[derive(Deserialize)]
pub struct Data {
    worker: Worker,
    #[serde(default)]
    gateways: Vec<Gateway>,
}

#[derive(Deserialize)]
struct Gateway {
    gateway: String,
    version: Option<String>,
    address: Option<String>,
    started_at: Option<String>,
    seen_at: Option<String>,
    #[serde(default)]
    live: bool,
    requests: Option<i64>,
}

pub fn page(visit: &Visit, data: &Data) -> Content {
    let main = html! {
        (head(None, html! { "Status" }, html! {}))
        (worker(visit, &data.worker))
        (gateways(visit, &data.gateways))
    };
    Content { title: "Status".into(), section: "status", main }
}

fn worker(visit: &Visit, worker: &Worker) -> Markup {
    let (weight, words) = state::of_worker(&worker.state);
    html! {
        section.card aria-labelledby="worker" {
            h2 #worker { "Sending " (badge(weight, words)) }
            @if let Some(detail) = &worker.detail { p.lead { (sentence(detail)) } }
            dl.tiles {
                @for (name, number) in [("Requests in progress", worker.in_flight), ("In memory", worker.queued), ("Dropped", worker.dropped)] {
                    @if let Some(number) = number { div { dt { (name) } dd { (grouped(number)) } } }
                }
            }
            dl.facts {
                @if let Some(pid) = worker.pid { div { dt { "Process" } dd { (pid) } } }
                @if let Some(since) = &worker.since { div { dt { "Running since" } dd { (visit.now.tell(since)) } } }
            }
            @if worker.dropped.is_some_and(|dropped| dropped > 0) {
                p.hint { "Events were dropped because " code { "hydra_webhooks.max_pending" } " was reached." }
            }
        }
    }
}

fn gateways(visit: &Visit, gateways: &[Gateway]) -> Markup {
    html! {
        section.card aria-labelledby="gateways" {
            h2 #gateways { "Gateways" }
            @if gateways.is_empty() {
                p.none { "No gateway has reported yet. Each reports every 5 seconds." }
            } @else {
                ul.rows.plain { @for gateway in gateways { (row(visit, gateway)) } }
            }
        }
    }
}

fn row(visit: &Visit, gateway: &Gateway) -> Markup {
    let (weight, words) = if gateway.live { (Weight::Good, "Live") } else { (Weight::Quiet, "Silent") };
    html! {
        li.row.type {
            div {
                p.event { (gateway.address.as_deref().unwrap_or("no address")) }
                p.minor { code { (gateway.gateway) } }
            }
            div {
                p { (badge(weight, words)) }
                p.minor {
                    @if let Some(version) = &gateway.version { "Version " (version) }
                    @if let Some(at) = &gateway.started_at { " · started " (visit.now.tell(at)) }
                    @if let Some(at) = &gateway.seen_at { " · last seen " (visit.now.tell(at)) }
                }
            }
            p.minor { (grouped(gateway.requests.unwrap_or(0))) " requests" }
        }
    }
}
