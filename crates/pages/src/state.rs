//! States in words, each with a sign of its own shape, so that colour is never all that tells them apart.

use maud::{Markup, html};

use crate::flow::{Flow, Run};
use crate::inbound::Adapter;
use crate::model::Webhook;

/// How much a state matters. It is the class that the stylesheet gives a colour and a sign.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weight {
    Bad,
    Warning,
    Quiet,
    Good,
}

impl Weight {
    pub fn class(self) -> &'static str {
        match self {
            Self::Bad => "bad",
            Self::Warning => "warning",
            Self::Quiet => "quiet",
            Self::Good => "good",
        }
    }
}

pub fn badge(weight: Weight, text: &str) -> Markup {
    html! { span class={ "badge " (weight.class()) } { (text) } }
}

pub fn of_webhook(webhook: &Webhook) -> (Weight, &str) {
    match webhook.status.as_str() {
        "disabled" => (Weight::Bad, "Disabled"),
        "paused" => (Weight::Quiet, "Paused"),
        "active" if webhook.waiting_for.is_some() => (Weight::Warning, "Held up"),
        "active" if webhook.consecutive_failures > 0 => (Weight::Warning, "Failing"),
        "active" => (Weight::Good, "Active"),
        other => (Weight::Quiet, other),
    }
}

pub fn of_delivery(state: &str) -> (Weight, &str) {
    match state {
        "pending" => (Weight::Warning, "Waiting"),
        "sending" => (Weight::Quiet, "Being sent"),
        "failed" => (Weight::Bad, "Given up"),
        "done" => (Weight::Quiet, "Settled"),
        other => (Weight::Quiet, other),
    }
}

pub fn of_key(state: &str) -> (Weight, &str) {
    match state {
        "active" => (Weight::Good, "Active"),
        "expired" => (Weight::Quiet, "Expired"),
        "revoked" => (Weight::Bad, "Revoked"),
        other => (Weight::Quiet, other),
    }
}

pub fn of_adapter(adapter: &Adapter) -> (Weight, &str) {
    match adapter.state.as_str() {
        "paused" => (Weight::Quiet, "Paused"),
        "active" if adapter.refuses() => (Weight::Bad, "Refusing"),
        "active" if adapter.failed > 0 => (Weight::Warning, "Failing"),
        "active" if adapter.last_received_at.is_none() => (Weight::Quiet, "Waiting"),
        "active" => (Weight::Good, "Active"),
        other => (Weight::Quiet, other),
    }
}

pub fn of_event(state: &str) -> (Weight, &str) {
    match state {
        "done" => (Weight::Good, "Done"),
        "received" => (Weight::Quiet, "Waiting"),
        "unmatched" => (Weight::Warning, "Unmatched"),
        "failed" => (Weight::Bad, "Failed"),
        other => (Weight::Quiet, other),
    }
}

pub fn of_flow(flow: &Flow) -> (Weight, &str) {
    match flow.state.as_str() {
        "deployed" => (Weight::Good, "Deployed"),
        "testing" => (Weight::Warning, "Testing"),
        "paused" => (Weight::Quiet, "Paused"),
        other => (Weight::Quiet, other),
    }
}

pub fn of_run(run: &Run) -> (Weight, &str) {
    match (run.state.as_str(), run.mode.as_str()) {
        ("done", "rehearsal") => (Weight::Quiet, "Rehearsed"),
        ("failed", "rehearsal") => (Weight::Bad, "Failed in rehearsal"),
        ("done", _) => (Weight::Good, "Done"),
        ("failed", _) => (Weight::Bad, "Failed"),
        (other, _) => (Weight::Quiet, other),
    }
}

pub fn of_approval(state: &str) -> (Weight, &str) {
    match state {
        "pending" => (Weight::Warning, "Waiting"),
        "done" => (Weight::Good, "Approved"),
        "refused" => (Weight::Quiet, "Refused"),
        "failed" => (Weight::Bad, "Failed"),
        "expired" => (Weight::Quiet, "Ended"),
        other => (Weight::Quiet, other),
    }
}

pub fn of_worker(state: &str) -> (Weight, &str) {
    match state {
        "running" => (Weight::Good, "Running"),
        "starting" => (Weight::Quiet, "Starting"),
        "off" => (Weight::Warning, "Switched off"),
        "parked" => (Weight::Warning, "Parked"),
        "standby" => (Weight::Quiet, "Standby"),
        "stopped" => (Weight::Bad, "Stopped"),
        "not preloaded" => (Weight::Bad, "Not loaded"),
        other => (Weight::Warning, other),
    }
}
