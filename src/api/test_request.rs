//! `webhook_send_test`: makes one signed request now and returns the response.
//!
//! The request is made by the same sender as all others, on a thread of this backend. The backend waits on its latch,
//! so the statement can be cancelled. Nothing is written: a rollback does not undo the request, and the request is not
//! included in counts, history or failures.

use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::{Duration, SystemTime};

use pgrx::Uuid;
use pgrx::prelude::*;
use sender::destination::origin;
use sender::{Bell, Limits, Roots, Sender};
use wire::attempt::{Attempt, Outcome};
use wire::event::Event;
use wire::ids::{DeliveryId, EventKey, SubscriptionId};
use wire::request::Request;

use super::status::is_standby;
use crate::backend::refuse::refuse;
use crate::backend::signals;
use crate::identity::Identity;
use crate::serve::rehearse;
use crate::slots::{self, Slot};
use crate::store::subscriptions::test_subject;
use crate::{keys, settings, store, tables};

/// The event type of test requests. Events and deliveries never have it.
const EVENT_TYPE: &str = "webhook.test";

/// For one request.
const LIMITS: Limits = Limits { threads: 1, resting_connections: 1, lookups: 1 };

#[pg_extern]
#[search_path(pg_catalog, pg_temp)]
#[allow(clippy::type_complexity)] // pgrx reads the columns off the type
fn webhook_send_test(
    id: Option<i64>,
) -> TableIterator<
    'static,
    (
        name!(status_code, Option<i32>),
        name!(response_body, Option<String>),
        name!(response_ms, i32),
        name!(error, Option<String>),
    ),
> {
    rehearse::refuse_in_rehearsal("hydra.webhook_send_test");
    if !settings::enabled() {
        refuse(
            PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
            "nothing is sent while hydra_webhooks.enabled is off",
            "The setting stops all requests of this cluster, including tests.",
            "Set it to on in postgresql.conf, and reload.",
        );
    }
    refuse_from_elsewhere(id);
    let request = tables::as_owner(|| test_request(id)).unwrap_or_else(|| {
        let id = id.map_or("null".to_owned(), |id| id.to_string());
        refuse(
            PgSqlErrorCode::ERRCODE_UNDEFINED_OBJECT,
            format!("subscription {id} does not exist"),
            "No subscription has this id; it may have been deleted.",
            "SELECT id, name, url FROM hydra.webhook_subscriptions lists them.",
        )
    });
    let attempt = send(request);
    let millis = attempt.took.as_millis() as i32;
    TableIterator::once(match attempt.outcome {
        Outcome::Answered(answer) => {
            let status = i32::from(answer.status);
            let error = (!(200..300).contains(&status)).then(|| format!("the receiver answered with status {status}"));
            (Some(status), Some(answer.excerpt), millis, error)
        }
        Outcome::Failed(failure) => (None, None, millis, Some(failure.message)),
        Outcome::NotStarted => (None, None, millis, Some("not started".into())),
    })
}

/// Fails if this database sends nothing: a request would reach an endpoint of the original, or one that was to be left
/// alone.
fn refuse_from_elsewhere(id: Option<i64>) {
    let is_copy = || !tables::as_owner(Identity::read).is_here();
    let (reason, hint) = if is_standby() {
        ("a standby sends nothing", "Call it on the primary.")
    } else if is_copy() {
        (
            "this database is a copy that was not adopted",
            "SELECT detail FROM hydra.webhook_worker_status says how to adopt it.",
        )
    } else if slots::here().is_some_and(Slot::is_parked) {
        ("this database is parked", "SELECT hydra.webhook_unpark() lets it send again.")
    } else if settings::is_left_out() {
        ("hydra_webhooks.databases leaves this database out", "Change the setting in postgresql.conf, and reload.")
    } else {
        return;
    };
    // If the subscription does not exist, there is another error.
    let Some((id, url)) = id.and_then(|id| Some((id, tables::as_owner(|| url_of(id))?))) else { return };
    refuse(
        PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
        format!("no test request is made: {reason}"),
        &format!("It would reach {}/…, the endpoint of subscription {}.", origin(&url).unwrap_or_default(), id),
        hint,
    );
}

/// Returns the URL of a subscription; `None` if there is no such subscription.
fn url_of(id: i64) -> Option<String> {
    const URL: &str = "SELECT s.url FROM hydra.subscription AS s WHERE s.id = $1";
    store::read_once(URL, &[id.into()], |mut rows| {
        let column = rows.column("url");
        rows.next().map(|row| row.value(column))
    })
}

/// Returns the test request to this subscription; `None` if there is no such subscription.
fn test_request(id: Option<i64>) -> Option<Request> {
    let id = SubscriptionId(id?);
    let keys = keys::read_or_refuse();
    let subject = test_subject(id, &keys).unwrap_or_else(|why| keys::refuse_unreadable(id, &why))?;
    let event = test_event(subject.tenant_id);
    Some(Request {
        delivery: DeliveryId(*Uuid::from_bytes(rand::random()).as_bytes()),
        preset: subject.preset,
        event: EventKey { random: rand::random(), ..EventKey::default() },
        event_type: EVENT_TYPE.into(),
        emitted_at: event.emitted_at,
        operation: None,
        body: subject.preset.body(&event),
        endpoint: Arc::new(subject.endpoint),
        hops: 0,
        max_in_flight: 1,
    })
}

fn test_event(tenant_id: Option<String>) -> Event {
    Event {
        event_type: EVENT_TYPE.into(),
        entity_type: "webhook".into(),
        entity_id: None,
        tenant_id: tenant_id.map(Arc::from),
        entity: Some(r#"{"message": "This is a test."}"#.into()),
        entity_error: None,
        previous: None,
        emitted_at: SystemTime::now(),
    }
}

fn send(request: Request) -> Attempt {
    let ca_file = settings::ca_file();
    let roots = Roots::load(ca_file.as_deref()).unwrap_or_else(|error| {
        refuse(
            PgSqlErrorCode::ERRCODE_CONFIG_FILE_ERROR,
            "hydra_webhooks.ca_file cannot be used",
            &error.to_string(),
            "Set it to a readable file of certificates in PEM form, or leave it empty.",
        )
    });
    let bell = Arc::new(Bell::new().expect("a file descriptor for the bell"));
    let (send, outcomes) = channel();
    let policy = Arc::new(settings::destination_policy());
    let sender = Sender::start(LIMITS, policy, roots, send, Arc::clone(&bell));
    sender.hand_over([request]);
    loop {
        // If the statement is cancelled, the error drops the sender, which aborts the request.
        signals::wait_as_backend(Some(bell.fd()), Duration::from_secs(1));
        bell.silence();
        if let Ok(attempt) = outcomes.try_recv() {
            return attempt;
        }
    }
}
