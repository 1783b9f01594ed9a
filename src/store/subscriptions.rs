//! Reads subscriptions with their secrets, in the form that is needed to send requests to them.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::SystemTime;

use delivery::subscription::{Failing, Subscription};
use pgrx::{Spi, error};
use wire::headers;
use wire::ids::SubscriptionId;
use wire::preset::Preset;
use wire::request::Endpoint;
use wire::secret::{Keys, SigningSecret, Unreadable};
use wire::signature::Scheme;

use super::row::{Row, Rows, columns, millis};
use super::statement::Statement;

columns!(EndpointColumns { url, signatures, timeout_ms, headers, secrets });
columns!(SubscriptionColumns {
    subscription_id,
    active,
    status_since,
    drops_missed,
    cancelled_at,
    preset,
    retry_schedule_ms,
    max_in_flight,
    disable_after,
    log_successes,
    consecutive_failures,
    secrets_change_at,
    stale_after_ms,
    rate_limit,
    failing_since,
    failing_for_ms,
    disable_after_ms,
    keep_bodies_ms,
});
columns!(TestColumns { preset, tenant_id });

/// The subscriptions, and when they have to be read again even if nobody changes them.
pub struct Subscriptions {
    pub list: Vec<Subscription>,
    /// When the first overlap of two secrets ends.
    pub stale_at: Option<SystemTime>,
    /// Subscriptions without a secret, or with a secret that cannot be read. Nothing is sent to them.
    pub unreadable: BTreeSet<SubscriptionId>,
}

impl Subscriptions {
    pub(super) fn read(rows: Rows<'_>, max_in_flight: usize, keys: &Keys) -> Self {
        let (columns, endpoint_columns) = (SubscriptionColumns::of(&rows), EndpointColumns::of(&rows));
        let mut subscriptions = Self { list: Vec::new(), stale_at: None, unreadable: BTreeSet::new() };
        for row in rows {
            let id = SubscriptionId(row.value(columns.subscription_id));
            let stale_at = row.time(columns.secrets_change_at);
            subscriptions.stale_at = subscriptions.stale_at.into_iter().chain(stale_at).min();
            let secrets = Secrets::read(&row, &endpoint_columns, id, keys).ok();
            let secrets = secrets.filter(|secrets| !secrets.signing.is_empty());
            if secrets.is_none() {
                subscriptions.unreadable.insert(id);
            }
            let is_readable = secrets.is_some();
            let endpoint = endpoint(&row, &endpoint_columns, id, secrets.unwrap_or_default());
            let read = |endpoint| subscription(&row, &columns, id, endpoint, is_readable, max_in_flight);
            // One that was left out would be taken for deleted, and so would its deliveries.
            let Some(read) = endpoint.and_then(read) else {
                error!(
                    "subscription {id} has a preset or a signature that this version of hydra_webhooks does not know"
                )
            };
            subscriptions.list.push(read);
        }
        subscriptions
    }
}

/// Makes a subscription from its row. Returns `None` if this version does not know its preset.
fn subscription(
    row: &Row<'_>,
    columns: &SubscriptionColumns,
    id: SubscriptionId,
    endpoint: Endpoint,
    is_readable: bool,
    max_in_flight: usize,
) -> Option<Subscription> {
    let consecutive_failures: i32 = row.value(columns.consecutive_failures);
    let delays: Vec<i64> = row.value(columns.retry_schedule_ms);
    Some(Subscription {
        id,
        // If its secrets cannot be read, its deliveries wait, as while a subscription is paused.
        active: row.value::<bool>(columns.active) && is_readable,
        status_since: row.time(columns.status_since).expect("a time that is not null"),
        drops_missed: row.value(columns.drops_missed),
        cancelled_at: row.time(columns.cancelled_at),
        preset: Preset::parse(row.text(columns.preset))?,
        endpoint: Arc::new(endpoint),
        schedule: delays.into_iter().map(millis).collect(),
        max_in_flight: row.maybe::<i32>(columns.max_in_flight).map_or(max_in_flight, |own| own as usize),
        disable_after: row.maybe::<i32>(columns.disable_after).map(|limit| limit as u32),
        disable_after_time: row.millis(columns.disable_after_ms),
        stale_after: row.millis(columns.stale_after_ms),
        rate_limit: row.maybe::<i32>(columns.rate_limit).map(|limit| limit as u32),
        log_successes: row.value(columns.log_successes),
        keep_bodies: row.millis(columns.keep_bodies_ms),
        failing: Failing {
            attempts: consecutive_failures as u32,
            since: row.time(columns.failing_since),
            lasted: millis(row.value(columns.failing_for_ms)),
        },
    })
}

/// Makes the endpoint of a subscription from its row. Returns `None` if this version does not know its signature.
fn endpoint(row: &Row<'_>, columns: &EndpointColumns, id: SubscriptionId, secrets: Secrets) -> Option<Endpoint> {
    let schemes: Vec<String> = row.value(columns.signatures);
    Some(Endpoint {
        subscription: id,
        url: row.value(columns.url),
        secrets: secrets.signing,
        schemes: schemes.iter().map(|name| Scheme::parse(name)).collect::<Option<_>>()?,
        headers: secrets.headers,
        timeout: row.millis(columns.timeout_ms).expect("a timeout that is not null"),
        gate: Arc::default(),
    })
}

/// What may be stored sealed.
#[derive(Default)]
struct Secrets {
    /// The signing secrets in use, the newest first.
    signing: Vec<SigningSecret>,
    headers: Vec<(String, String)>,
}

impl Secrets {
    fn read(row: &Row<'_>, columns: &EndpointColumns, id: SubscriptionId, keys: &Keys) -> Result<Self, Unreadable> {
        let stored: Vec<String> = row.value(columns.secrets);
        let signing = stored.iter().map(|stored| keys.open(stored, id).map(SigningSecret::from));
        Ok(Self {
            signing: signing.collect::<Result<_, _>>()?,
            headers: headers::stored(row.text(columns.headers), id, keys)?,
        })
    }
}

/// What a test request is made from.
pub struct TestSubject {
    pub endpoint: Endpoint,
    pub preset: Preset,
    pub tenant_id: Option<String>,
}

/// Reads what a test request is made from. Returns `None` if there is no such subscription, or if this version does not
/// know its preset or signature.
pub fn test_subject(id: SubscriptionId, keys: &Keys) -> Result<Option<TestSubject>, Unreadable> {
    let statement = Statement::new(include_str!("../../sql/queries/load_test_subject.sql"));
    Spi::connect(|client| {
        let mut rows = statement.read(client, &[id.0.into()]);
        let (columns, endpoint_columns) = (TestColumns::of(&rows), EndpointColumns::of(&rows));
        let Some(row) = rows.next() else { return Ok(None) };
        let secrets = Secrets::read(&row, &endpoint_columns, id, keys)?;
        let (endpoint, preset) =
            (endpoint(&row, &endpoint_columns, id, secrets), Preset::parse(row.text(columns.preset)));
        let tenant_id = row.maybe(columns.tenant_id);
        Ok(endpoint.zip(preset).map(|(endpoint, preset)| TestSubject { endpoint, preset, tenant_id }))
    })
}
