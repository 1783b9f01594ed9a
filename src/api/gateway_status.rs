//! The view `hydra.gateway_status`: whether the server runs a gateway for this database, and if not, why.

use std::borrow::Cow;

use pgrx::datum::TimestampWithTimeZone;
use pgrx::prelude::*;

use super::status::is_standby;
use crate::slots::gateway::{Decision, Gateway, GatewayState as State};
use crate::slots::{self, Slot};
use crate::{settings, store};

/// A state, its reason, and what can be done.
struct Status {
    state: &'static str,
    detail: Cow<'static, str>,
    hint: Cow<'static, str>,
}

impl Status {
    fn new(state: &'static str, detail: impl Into<Cow<'static, str>>, hint: impl Into<Cow<'static, str>>) -> Self {
        Self { state, detail: detail.into(), hint: hint.into() }
    }
}

#[pg_extern(volatile)]
#[search_path(pg_catalog, pg_temp)]
#[allow(clippy::type_complexity)] // pgrx reads the columns off the type
fn _gateway_status() -> TableIterator<
    'static,
    (
        name!(state, String),
        name!(detail, String),
        name!(hint, Option<String>),
        name!(address, Option<String>),
        name!(pid, Option<i32>),
        name!(since, Option<TimestampWithTimeZone>),
        name!(public_url, Option<String>),
    ),
> {
    let status = status();
    let process = running_here().and_then(Gateway::gateway);
    TableIterator::once((
        status.state.to_owned(),
        status.detail.into_owned(),
        Some(status.hint.into_owned()).filter(|hint| !hint.is_empty()),
        own_address(),
        process.map(|(pid, _)| pid),
        process.map(|(_, since)| store::to_timestamp(since)),
        public_url(),
    ))
}

/// Returns what URLs that are shown to people begin with; `None`: it is not known.
pub fn public_url() -> Option<String> {
    settings::gateway::public_url().or_else(|| {
        let listen = own_address()?;
        let scheme = if settings::gateway::tls_certificate().is_some() { "https" } else { "http" };
        // Other addresses are not those that people use.
        wire::supervised::is_loopback(&listen).then(|| format!("{scheme}://{listen}"))
    })
}

/// Returns the address of the gateway of this database; `None` if it is that of another database.
fn own_address() -> Option<String> {
    let serves_another =
        slots::shared().is_some_and(|shared| shared.gateway().decision() == Decision::Serve) && here().is_none();
    running_here().and_then(address).or_else(|| settings::gateway::listen().filter(|_| !serves_another))
}

/// Returns the gateway of this database, if it is the one that the server runs.
fn here() -> Option<&'static Gateway> {
    // SAFETY: set when the backend connected, and never changed.
    let here = unsafe { pg_sys::MyDatabaseId };
    Some(slots::shared()?.gateway()).filter(|gateway| gateway.wanted() == Some(here))
}

/// The same, if its supervisor runs. The one of another database may not have ended yet.
fn running_here() -> Option<&'static Gateway> {
    // SAFETY: as above.
    here().filter(|gateway| gateway.occupies(unsafe { pg_sys::MyDatabaseId }))
}

/// Returns the address on which the gateway listens.
fn address(gateway: &Gateway) -> Option<String> {
    let is_listening = gateway.state() == State::Listening && gateway.gateway().is_some();
    is_listening.then(|| gateway.texts().0).filter(|address| !address.is_empty())
}

fn status() -> Status {
    const LISTEN: &str = "Set hydra_webhooks.listen, such as to 127.0.0.1:8480, and reload.";
    let Some(shared) = slots::shared() else {
        return Status::new(
            "not preloaded",
            "the server was started without the extension",
            "Add hydra_webhooks to shared_preload_libraries and restart.",
        );
    };
    if is_standby() {
        return Status::new("standby", "a standby runs no gateway; it starts one when it is promoted", "");
    }
    if settings::gateway::listen().is_none() {
        return Status::new("off", "hydra_webhooks.listen is empty", LISTEN);
    }
    match (shared.gateway().decision(), here()) {
        (Decision::Serve, Some(gateway)) => describe(gateway),
        (Decision::Serve, None) => Status::new("off", "the gateway of this server serves another database", CHOOSE),
        (decision, _) => describe_decision(decision),
    }
}

const CHOOSE: &str =
    "Set hydra_webhooks.gateway_database to the name of the database that is to be served, and reload.";

fn describe_decision(decision: Decision) -> Status {
    match decision {
        Decision::Several => {
            Status::new("failed", "several databases have the extension, and none of them was chosen", CHOOSE)
        }
        Decision::Unknown => Status::new(
            "failed",
            "the database that is to be served does not exist, or the worker cannot connect to it",
            "See hydra_webhooks.gateway_database, and hydra.webhook_worker_status in that database.",
        ),
        Decision::WithoutExtension => {
            Status::new("failed", "the database of hydra_webhooks.gateway_database does not have the extension", CHOOSE)
        }
        Decision::Looking => Status::new(
            "starting",
            "the launcher is looking for databases with the extension",
            "If this lasts, see the server log. With hydra_webhooks.gateway_database it need not look at all of them.",
        ),
        Decision::Off | Decision::Serve => Status::new("starting", "the launcher has not read the settings yet", ""),
    }
}

fn describe(gateway: &Gateway) -> Status {
    if slots::here().is_some_and(Slot::is_parked) {
        return Status::new("parked", "by hydra.webhook_park()", "hydra.webhook_unpark() starts it again.");
    }
    let (_, detail, hint) = gateway.texts();
    let is_well = hint.is_empty();
    let reported = |state| Status::new(state, detail, hint);
    match gateway.state() {
        State::Listening | State::Starting | State::Failed | State::Crashed if running_here().is_none() => {
            Status::new("starting", "the supervisor of the gateway is about to be started", "")
        }
        State::Listening if is_well && gateway.is_ambiguous() => Status::new(
            "listening",
            "requests are answered; another database has the extension too, so after a restart no gateway would start",
            CHOOSE,
        ),
        State::Listening => reported("listening"),
        State::Starting => reported("starting"),
        State::Failed => reported("failed"),
        State::Crashed => reported("crashed"),
        State::Ended => Status::new("starting", "the supervisor of the gateway is about to be started", ""),
        State::SupervisorFailed => Status::new(
            "crashed",
            "the supervisor of the gateway failed and will be started again",
            "If it happens again, see the server log.",
        ),
        State::Resting => Status::new(
            "crashed",
            "the supervisor of the gateway failed several times; it starts again in some minutes",
            "Find the reason in the server log. A reload starts it at once.",
        ),
        State::NoWorker => Status::new(
            "failed",
            "no background worker slot is free",
            "Raise max_worker_processes and restart. If another worker ends, the gateway takes its slot.",
        ),
    }
}
