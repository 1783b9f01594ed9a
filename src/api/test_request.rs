//! `webhook_send_test`: makes one signed request now and returns its answer.
//!
//! The request is made by the same sender as every other, on a thread of this backend. The backend waits on its latch, so
//! the statement can be cancelled. Nothing is written, so a rollback does not undo the request and it counts for nothing.

use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::{Duration, SystemTime};

use pgrx::Uuid;
use pgrx::prelude::*;
use smallvec::SmallVec;

use crate::backend::refuse::refuse;
use crate::delivery::{Attempt, DeliveryId, Endpoint, Outcome, Request};
use crate::event::Event;
use crate::headers;
use crate::preset::Preset;
use crate::sealing::Keys;
use crate::sender::{Bell, Limits, Roots, Sender};
use crate::signature::{Scheme, SigningSecret};
use crate::store::Statement;
use crate::{keys, process, settings, tables};

/// There are no events or deliveries of this type; only test requests have it.
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
            "It stops all requests of this cluster, including tests.",
            "Set it to on in postgresql.conf, and reload.",
        );
    }
    let request = tables::as_owner(|| load(id)).unwrap_or_else(|| {
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

fn load(id: Option<i64>) -> Option<Request> {
    let statement = Statement::new(include_str!("../../sql/queries/load_test_subject.sql"));
    Spi::connect(|client| {
        let row = statement.read(client, &[id.into()]).next()?;
        let schemes: Vec<String> = row.value(2);
        let secrets: Vec<String> = row.value(6);
        let (keys, id) = (keys::read_or_refuse(), id?);
        let endpoint = Endpoint {
            subscription: id,
            url: row.value(1),
            schemes: schemes.iter().filter_map(|name| Scheme::parse(name)).collect(),
            headers: headers::stored(row.text(7)),
            timeout: Duration::from_millis(row.value::<i64>(3) as u64),
            secrets: secrets.iter().map(|stored| open(&keys, stored, id)).collect(),
            gate: Arc::default(),
        };
        let preset = Preset::parse(row.text(4))?;
        let body = preset.body(&test_event(row.maybe(5)));
        Some(Request {
            delivery: DeliveryId(*Uuid::from_bytes(rand::random()).as_bytes()),
            endpoint: Arc::new(endpoint),
            preset,
            event_type: EVENT_TYPE.into(),
            body,
            next: None,
        })
    })
}

fn open(keys: &Keys, stored: &str, subscription: i64) -> SigningSecret {
    keys.open(stored, subscription).unwrap_or_else(|why| keys::refuse_unreadable(subscription, &why)).into()
}

fn test_event(tenant_id: Option<String>) -> Event {
    Event {
        xid: 0,
        id: 0,
        place: (0, 0),
        event_type: EVENT_TYPE.into(),
        entity_type: "webhook".into(),
        entity_id: None,
        tenant_id,
        entity: Some(r#"{"message": "This is a test."}"#.into()),
        entity_error: None,
        emitted_at: SystemTime::now(),
        targets: SmallVec::new(),
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
        process::wait_as_backend(Some(bell.fd()), Duration::from_secs(1));
        bell.silence();
        if let Ok(attempt) = outcomes.try_recv() {
            return attempt;
        }
    }
}
