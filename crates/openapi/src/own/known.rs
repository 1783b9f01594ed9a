//! Which of our own resources there are, and their members.

use super::Kind::{Attempts, Boolean, Choice, Duration, Durations, Instant, Integer, Payload, Text, Texts, Uuid};
use super::{Id, Member, Own, READS_WEBHOOKS};

pub const PRESETS: &[&str] = &["hydra", "x_webhook", "standard"];
pub const SIGNATURES: &[&str] = &["hydra", "x_webhook", "standard", "github"];

/// Members of a webhook that deliveries change.
pub const COUNTED: [&str; 9] = [
    "consecutive_failures",
    "failing_since",
    "delivered",
    "pending",
    "failed",
    "missed",
    "last_error",
    "last_error_at",
    "waiting_for",
];

pub const WEBHOOKS: Own = Own {
    name: "webhooks",
    description: "Webhooks: where events are sent, which ones, and how that went. Of a URL, only scheme, host and port are shown to \
                  keys without the scope `webhooks:manage`.",
    scopes: READS_WEBHOOKS,
    views: &["webhook_subscriptions"],
    id: Id::Number,
    filters: &["status"],
    members: &[
        Member("id", Integer, false),
        Member("name", Text, true),
        Member("url", Text, false),
        Member("status", Choice(&["active", "paused", "disabled"]), false),
        Member("disabled_reason", Choice(&["gone", "failures", "stale"]), true),
        Member("keeps_events", Boolean, false),
        Member("status_since", Instant, false),
        Member("event_types", Texts, false),
        Member("tenant_id", Text, true),
        Member("preset", Choice(PRESETS), false),
        Member("signatures", Texts, false),
        Member("header_names", Texts, false),
        Member("timeout", Duration, false),
        Member("retry_schedule", Durations, false),
        Member("filter", Text, true),
        Member("max_in_flight", Integer, true),
        Member("rate_limit", Integer, true),
        Member("disable_after", Integer, true),
        Member("disable_after_time", Duration, true),
        Member("stale_after", Duration, true),
        Member("log_successes", Boolean, false),
        Member("keep_bodies", Duration, true),
        Member("created_at", Instant, false),
        Member("secret_prefix", Text, true),
        Member("consecutive_failures", Integer, false),
        Member("failing_since", Instant, true),
        Member("delivered", Integer, false),
        Member("pending", Integer, false),
        Member("failed", Integer, false),
        Member("missed", Integer, false),
        Member("last_error", Text, true),
        Member("last_error_at", Instant, true),
        Member("waiting_for", Text, true),
    ],
};

pub const WEBHOOK_DELIVERIES: Own = Own {
    name: "webhook_deliveries",
    description: "Deliveries that failed at least once, or wait: those that are tried again, and those that were given up. One that \
                  has succeeded is here only if its webhook has `keep_bodies`.",
    scopes: READS_WEBHOOKS,
    views: &["webhook_failed", "webhook_pending", "webhook_delivered"],
    id: Id::Uuid,
    filters: &["subscription_id", "state"],
    members: &[
        Member("id", Uuid, false),
        Member("subscription_id", Integer, false),
        Member("event_id", Integer, false),
        Member("event", Text, false),
        Member("entity_type", Text, false),
        Member("entity_id", Text, true),
        Member("tenant_id", Text, true),
        Member("state", Choice(&["pending", "sending", "failed", "delivered"]), false),
        Member("attempts", Integer, false),
        Member("emitted_at", Instant, false),
        Member("due_at", Instant, true),
        Member("failed_at", Instant, true),
        Member("missed", Boolean, false),
        Member("error_class", Text, true),
        Member("error", Text, true),
        Member("status_code", Integer, true),
        Member("response_excerpt", Text, true),
        Member("response_ms", Integer, true),
        Member("delivered_at", Instant, true),
        Member("kept_until", Instant, true),
        Member("history", Attempts, false),
    ],
};

pub const EVENT_TYPES: Own = Own {
    name: "event_types",
    description: "Types of events, which webhooks can be sent for.",
    scopes: READS_WEBHOOKS,
    views: &["webhook_event_types"],
    id: Id::Name,
    filters: &["origin"],
    members: &[
        Member("name", Text, false),
        Member("description", Text, true),
        Member("entity_type", Text, false),
        Member("id_key", Text, false),
        Member("origin", Choice(&["catalogue", "application", "extension"]), false),
    ],
};

pub const INBOUND_EVENTS: Own = Own {
    name: "inbound_events",
    description: "Events of other systems, and what became of them, the newest first.",
    scopes: &["inbound:read"],
    views: &["inbound_events"],
    id: Id::Number,
    filters: &["adapter_id", "state"],
    members: &[
        Member("id", Integer, false),
        Member("adapter_id", Integer, false),
        Member("external_id", Text, true),
        Member("external_type", Text, true),
        Member("event_type", Text, true),
        Member("entity_type", Text, true),
        Member("entity_id", Text, true),
        Member("tenant_id", Text, true),
        Member("state", Choice(&["received", "done", "unmatched", "failed"]), false),
        Member("reason", Text, true),
        Member("error", Text, true),
        Member("sqlstate", Text, true),
        Member("attempts", Integer, false),
        Member("due_at", Instant, true),
        Member("duplicates", Integer, false),
        Member("hops", Integer, false),
        Member("received_at", Instant, false),
        Member("finished_at", Instant, true),
        Member("payload", Payload, true),
    ],
};

pub const FLOWS: Own = Own {
    name: "flows",
    description: "Flows: functions of the application that run when an event of another system has come.",
    scopes: &["flows:read"],
    views: &["flows"],
    id: Id::Number,
    filters: &["state"],
    members: &[
        Member("id", Integer, false),
        Member("name", Text, false),
        Member("event", Text, false),
        Member("function", Text, false),
        Member("filter", Text, true),
        Member("state", Choice(&["testing", "deployed", "paused"]), false),
        Member("timeout", Duration, false),
        Member("tenant_id", Text, true),
        Member("runs", Integer, false),
        Member("failures", Integer, false),
        Member("last_run_at", Instant, true),
        Member("last_error", Text, true),
        Member("created_at", Instant, false),
    ],
};
