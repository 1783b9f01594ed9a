//! The list of adapters. What needs attention comes first.

use maud::{Markup, html};
use serde::Deserialize;

use super::{Adapter, CHART, Hour, provider};
use crate::chart;
use crate::figures::grouped;
use crate::layout::{Content, Visit, head, snippet};
use crate::moment::count;
use crate::state::{self, Weight, badge};

#[derive(Deserialize)]
pub struct Data {
    adapters: Vec<Adapter>,
}

/// Mappings that the list shows of one adapter.
const SHOWN: usize = 3;

pub fn page(visit: &Visit, data: &Data) -> Content {
    let mut adapters: Vec<&Adapter> = data.adapters.iter().collect();
    adapters.sort_by_key(|adapter| match state::of_adapter(adapter).0 {
        weight @ (Weight::Bad | Weight::Warning) => weight,
        _ => Weight::Good,
    });
    let new = html! { a.button.primary href="/settings/inbound-adapters/new" { "New adapter" } };
    let main = html! {
        (head(None, html! { "Inbound adapters" }, html! { @if visit.may_manage() && !adapters.is_empty() { (new) } }))
        @if adapters.is_empty() {
            (empty(visit, &new))
        } @else {
            p.lead { (totals(&adapters)) }
            ul.rows { @for adapter in adapters { (row(visit, adapter)) } }
        }
    };
    Content { title: "Inbound adapters".into(), section: "inbound-adapters", main }
}

fn totals(adapters: &[&Adapter]) -> String {
    let received = adapters.iter().map(|adapter| adapter.received).sum();
    format!("{}, {} received", count(adapters.len() as i64, "adapter"), count(received, "event"))
}

fn empty(visit: &Visit, new: &Markup) -> Markup {
    html! {
        div.empty {
            h2 { "No inbound adapters yet" }
            p {
                "An adapter is a URL to which another system, such as GitHub or Stripe, posts its events. They become events of yours, start your flows, and go out to your webhooks."
            }
            @if visit.may_manage() {
                p { (new) }
                p.hint { "Or in SQL:" }
                (snippet("SELECT * FROM hydra.inbound_create('GitHub', '{\"issues.opened\": \"ticket.created\"}',\n    provider => 'github', secret => '…');"))
            } @else {
                p { "An admin can create one." }
            }
        }
    }
}

fn row(visit: &Visit, adapter: &Adapter) -> Markup {
    let (weight, words) = state::of_adapter(adapter);
    html! {
        li.row.webhook {
            div.what {
                h2 { a href=(adapter.path()) { (adapter.name) } }
                p.url { (adapter.address()) }
                (mapped(adapter))
            }
            div.how {
                p { (badge(weight, words)) }
                p.minor { (provider::name(&adapter.provider)) }
                p.minor { (last(visit, adapter)) }
                @if let Some(tenant) = &adapter.tenant_id { p.minor { "Tenant " (tenant) } }
            }
            div.day {
                @if let Some(hours) = &adapter.hours {
                    (chart::small(&CHART, &Hour::bars(hours), &format!("day-{}", adapter.id)))
                }
                p.minor { (figures(adapter)) }
            }
            @if adapter.refuses() && let Some(reason) = &adapter.last_refusal {
                p.last {
                    span.label { "Last request refused" }
                    @if let Some(at) = &adapter.last_refused_at { " " (visit.now.tell(at)) }
                    " " span.text { (reason) }
                }
            }
        }
    }
}

fn mapped(adapter: &Adapter) -> Markup {
    let pairs = adapter.pairs();
    html! {
        ul.chips aria-label="Mapping" {
            @for (external, target) in pairs.iter().take(SHOWN) { li { (external) " → " (target.event) } }
            @if pairs.len() > SHOWN { li.more { "and " (pairs.len() - SHOWN) " more" } }
        }
    }
}

fn last(visit: &Visit, adapter: &Adapter) -> Markup {
    html! {
        @match &adapter.last_received_at {
            Some(at) => { "Last event " (visit.now.tell(at)) },
            None => "No event so far",
        }
    }
}

fn figures(adapter: &Adapter) -> Markup {
    let numbers = [
        (adapter.received, "received", true),
        (adapter.matched, "matched", true),
        (adapter.unmatched, "unmatched", false),
        (adapter.failed, "failed", false),
        (adapter.refused, "refused", false),
    ];
    let shown = numbers.into_iter().filter(|(number, _, is_always)| *is_always || *number > 0);
    html! {
        @for (place, (number, what, _)) in shown.enumerate() {
            @if place > 0 { " · " } b { (grouped(number)) } " " (what)
        }
    }
}
