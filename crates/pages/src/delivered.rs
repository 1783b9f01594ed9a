//! The latest deliveries that have succeeded and are kept.

use maud::{Markup, html};
use serde::Deserialize;

use crate::failures::folded;
use crate::figures::milliseconds;
use crate::layout::{Visit, button};
use crate::model::Webhook;
use crate::moment::count;
use crate::visible;

#[derive(Deserialize)]
pub struct Delivered {
    delivery_id: String,
    event: String,
    entity_type: String,
    entity_id: Option<String>,
    attempts: i64,
    status_code: i64,
    response_ms: f64,
    delivered_at: String,
}

pub fn list(visit: &Visit, webhook: &Webhook, delivered: &[Delivered]) -> Markup {
    html! {
        @if !delivered.is_empty() {
            section.card aria-labelledby="delivered" {
                h2 #delivered { "Delivered" }
                p.hint { "The latest that are kept, newest first." }
                (folded(delivered.iter().map(|delivery| entry(visit, webhook, delivery)).collect()))
            }
        }
    }
}

fn entry(visit: &Visit, webhook: &Webhook, delivery: &Delivered) -> Markup {
    let path = format!("{}/deliveries/{}/retry", webhook.path(), delivery.delivery_id);
    let of = html! { span.hidden { " " (delivery.event) " " (delivery.delivery_id) } };
    html! {
        li.row.failure {
            div.what {
                p.event { (delivery.event) }
                p.minor { (visit.now.tell(&delivery.delivered_at)) }
            }
            div.why {
                p {
                    span.status { "Status " (delivery.status_code) }
                    span.minor {
                        " after " (milliseconds(delivery.response_ms))
                        @if delivery.attempts > 1 { ", " (count(delivery.attempts, "attempt")) }
                    }
                }
                @if let Some(id) = &delivery.entity_id {
                    p.text { (visible::inline(&delivery.entity_type)) " " (visible::inline(id)) }
                }
            }
            @if visit.may_manage() {
                div.next.buttons { (button(&path, "small", html! { "Send again" (of) })) }
            }
        }
    }
}
