//! The list of approvals: those that wait first, then what became of others.

use maud::{Markup, html};
use serde::Deserialize;

use super::Approval;
use crate::layout::{Content, Visit, head};
use crate::moment::count;
use crate::state::{self, badge};
use crate::visible::visible;

#[derive(Deserialize)]
pub struct Data {
    approvals: Vec<Approval>,
}

pub fn page(visit: &Visit, data: &Data) -> Content {
    let (waiting, others): (Vec<_>, Vec<_>) = data.approvals.iter().partition(|approval| approval.is_pending());
    let rows = |approvals: &[&Approval]| html! { ul.rows { @for approval in approvals { (row(visit, approval)) } } };
    let main = html! {
        (head(None, html! { "Approvals" }, html! {}))
        p.lead { "What an assistant wants to write waits here until a person has said yes. Nothing is written before." }
        @if data.approvals.is_empty() {
            div.empty {
                h2 { "Nothing waits for you" }
                p { "When a tool that writes is called with an API key, what it would do appears here." }
            }
        } @else {
            p.lead { @if waiting.is_empty() { "Nothing waits." } @else { (count(waiting.len() as i64, "request")) " waiting." } }
            @if !waiting.is_empty() {
                section aria-labelledby="waiting" { h2 #waiting { "Waiting" } (rows(&waiting)) }
            }
            @if !others.is_empty() {
                section aria-labelledby="earlier" { h2 #earlier { "Earlier" } (rows(&others)) }
            }
        }
    };
    Content { title: "Approvals".into(), section: "approvals", main }
}

fn row(visit: &Visit, approval: &Approval) -> Markup {
    let (weight, words) = state::of_approval(&approval.state);
    html! {
        li.row.approval {
            div.what {
                h3.event { a href=(approval.path()) { (approval.tool) } }
                p.url { (visible(&approval.arguments)) }
            }
            div {
                p { "Key " bdi { (visible(&approval.key_name)) } }
                p.minor {
                    @if let Some(tenant) = &approval.tenant_id { "Tenant " bdi { (visible(tenant)) } " · " }
                    "asked " (visit.now.tell(&approval.created_at))
                }
            }
            div {
                p { (badge(weight, words)) }
                @match &approval.decided_at {
                    Some(at) => p.minor { (visit.now.tell(at)) },
                    None => p.minor { @if approval.is_pending() { "ends " } (visit.now.tell(&approval.expires_at)) },
                }
            }
        }
    }
}
