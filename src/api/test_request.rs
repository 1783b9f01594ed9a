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
use sender::{Bell, Limits, Roots, Sender};
use wire::attempt::{Attempt, Outcome};
use wire::event::Event;
use wire::ids::{DeliveryId, SubscriptionId};
use wire::request::Request;

use crate::backend::refuse::refuse;
use crate::backend::signals;
use crate::store::subscriptions::test_subject;
use crate::{keys, settings, tables};

/// The event type of test requests. Events and deliveries never have it.
const EVENT_TYPE: &str = "webhook.test";

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
    if !settings::enabled() {
        refuse(
            PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
            "nothing is sent while hydra_webhooks.enabled is off",
            "The setting stops all requests of this cluster, including tests.",
            "Set it to on in postgresql.conf, and reload.",
        );
    }
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

/// Returns the test request to this subscription; `None` if there is no such subscription.
fn test_request(id: Option<i64>) -> Option<Request> {
    let id = SubscriptionId(id?);
    let keys = keys::read_or_refuse();
    let subject = test_subject(id, &keys).unwrap_or_else(|why| keys::refuse_unreadable(id, &why))?;
    Some(Request {
        delivery: DeliveryId(*Uuid::from_bytes(rand::random()).as_bytes()),
        preset: subject.preset,
        event_type: EVENT_TYPE.into(),
        body: subject.preset.body(&test_event(subject.tenant_id)),
        endpoint: Arc::new(subject.endpoint),
        next: None,
    })
}

fn test_event(tenant_id: Option<String>) -> Event {
    Event {
        event_type: EVENT_TYPE.into(),
        entity_type: "webhook".into(),
        entity_id: None,
        tenant_id,
        entity: Some(r#"{"message": "This is a test."}"#.into()),
        entity_error: None,
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
    let sender = Sender::start(Limits { max_threads: 1 }, policy, roots, send, Arc::clone(&bell));
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
