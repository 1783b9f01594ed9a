//! What the dispatcher reads.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use pgrx::spi::{SpiClient, SpiHeapTupleData};
use pgrx::{Spi, Uuid};

use super::statement::{Statement, maybe, value};
use super::types::from_micros;
use super::{Snapshot, Store, Xid8};
use crate::delivery::{DeliveryId, Endpoint};
use crate::event::Event;
use crate::preset::Preset;
use crate::signature::{Scheme, SigningSecret};
use crate::subscription::Subscription;
use crate::work::Work;

pub struct Reads {
    identity: Statement,
    subscriptions: Statement,
    snapshot: Statement,
    events: Statement,
    claim: Statement,
    next_due: Statement,
}

impl Default for Reads {
    fn default() -> Self {
        Self {
            identity: Statement::new(include_str!("../../sql/queries/load_identity.sql")),
            subscriptions: Statement::new(include_str!("../../sql/queries/load_subscriptions.sql")),
            snapshot: Statement::new("SELECT pg_catalog.pg_current_snapshot()::text"),
            events: Statement::new(include_str!("../../sql/queries/fetch_events.sql")),
            claim: Statement::new(include_str!("../../sql/queries/claim_deliveries.sql")),
            next_due: Statement::new(include_str!("../../sql/queries/next_due.sql")),
        }
    }
}

/// The subscriptions, and when they have to be read again although nobody changed them.
pub struct Subscriptions {
    pub list: Vec<Subscription>,
    /// When the first overlap of two secrets ends.
    pub stale_at: Option<SystemTime>,
}

/// Where reading events stands: everything that `done` sees was read, and what `target` sees besides was read up to
/// `cursor`.
#[derive(Debug)]
pub struct Page<'a> {
    pub done: &'a Snapshot,
    pub target: &'a Snapshot,
    pub cursor: (Xid8, i64),
    pub rows: i64,
}

impl Page<'_> {
    /// Transactions that `done` saw in progress and `target` sees finished, as far as they are still to be read.
    fn late(&self) -> Vec<Xid8> {
        let finished = |xid: &&Xid8| **xid < self.target.xmax && !self.target.in_progress.contains(xid);
        let unread = |xid: &&Xid8| **xid >= self.cursor.0;
        self.done.in_progress.iter().filter(finished).filter(unread).copied().collect()
    }
}

impl Store {
    /// The namespace of this installation; `None` where the database is a copy that nobody has adopted.
    pub fn identity(&self) -> Option<[u8; 16]> {
        Spi::connect(|client| {
            let mut rows = self.reads.identity.read(client, &[]);
            let row = rows.next()?;
            let ours: bool = value(&row, 2);
            let namespace: String = maybe(&row, 1)?;
            let bytes = hex::decode(namespace.replace('-', "")).ok()?;
            bytes.try_into().ok().filter(|_| ours)
        })
    }

    /// `max_in_flight` is for those that do not say themselves.
    pub fn subscriptions(&self, max_in_flight: usize) -> Subscriptions {
        Spi::connect(|client| {
            let mut subscriptions = Subscriptions { list: Vec::new(), stale_at: None };
            for row in self.reads.subscriptions.read(client, &[]) {
                let stale_at = maybe::<i64>(&row, 14).map(from_micros);
                subscriptions.stale_at = subscriptions.stale_at.into_iter().chain(stale_at).min();
                subscriptions.list.extend(subscription(&row, max_in_flight));
            }
            subscriptions
        })
    }

    /// What the current transaction sees.
    pub fn snapshot(&self) -> Snapshot {
        Spi::connect(|client| {
            let mut rows = self.reads.snapshot.read(client, &[]);
            let text: String = value(&rows.next().expect("one row"), 1);
            Snapshot::parse(&text).expect("a snapshot")
        })
    }

    /// In order of transaction and id; fewer than asked for means that there are no more.
    pub fn events(&self, page: &Page<'_>) -> Vec<Event> {
        Spi::connect(|client| {
            // One lower bound, not two: the index is entered at the first it finds, and one transaction can be long.
            let new_after = page.cursor.max((page.done.xmax, 0));
            let args = [
                page.late().into(),
                page.cursor.0.into(),
                page.cursor.1.into(),
                new_after.0.into(),
                new_after.1.into(),
                page.target.xmax.into(),
                page.target.in_progress.clone().into(),
                page.rows.into(),
            ];
            self.reads.events.read(client, &args).map(|row| event(&row)).collect()
        })
    }

    /// Claims deliveries that are due, for this run of the dispatcher; `room` is how many for which subscription.
    pub fn claim(&self, room: &[(i64, i32)], run: i64) -> Vec<Work> {
        let (ids, counts): (Vec<i64>, Vec<i32>) = room.iter().copied().unzip();
        Spi::connect_mut(|client| {
            let rows = self.reads.claim.write(client, &[ids.into(), counts.into(), run.into()]);
            rows.map(|row| claimed(&row)).collect()
        })
    }

    /// When the earliest waiting delivery of each subscription is due.
    pub fn next_due(&self, subscriptions: &[i64]) -> Vec<(i64, Option<SystemTime>)> {
        Spi::connect(|client: &SpiClient<'_>| {
            let rows = self.reads.next_due.read(client, &[subscriptions.to_vec().into()]);
            rows.map(|row| (value(&row, 1), maybe::<i64>(&row, 2).map(from_micros))).collect()
        })
    }
}

/// `None` for one of a preset or signature that this version does not know.
fn subscription(row: &SpiHeapTupleData<'_>, max_in_flight: usize) -> Option<Subscription> {
    let id = value(row, 1);
    let schemes: Vec<String> = value(row, 6);
    let secrets: Vec<String> = value(row, 13);
    let endpoint = Endpoint {
        subscription: id,
        url: value(row, 5),
        secrets: secrets.into_iter().map(SigningSecret::from).collect(),
        schemes: schemes.iter().map(|name| Scheme::parse(name)).collect::<Option<_>>()?,
        timeout: millis(value(row, 7)),
        gate: Arc::default(),
    };
    Some(Subscription {
        id,
        active: value(row, 2),
        status_since: from_micros(value(row, 3)),
        preset: Preset::parse(&value::<String>(row, 4))?,
        endpoint: Arc::new(endpoint),
        schedule: value::<Vec<i64>>(row, 8).into_iter().map(millis).collect(),
        max_in_flight: maybe::<i32>(row, 9).map_or(max_in_flight, |own| own as usize),
        disable_after: maybe::<i32>(row, 10).map(|limit| limit as u32),
        log_successes: value(row, 11),
        consecutive_failures: value::<i32>(row, 12) as u32,
    })
}

fn millis(millis: i64) -> Duration {
    Duration::from_millis(millis.try_into().unwrap_or(0))
}

fn event(row: &SpiHeapTupleData<'_>) -> Event {
    Event {
        xid: value::<Xid8>(row, 1).0,
        id: value(row, 2),
        event_type: value::<String>(row, 3).into(),
        entity_type: value(row, 4),
        entity_id: maybe(row, 5),
        tenant_id: maybe(row, 6),
        entity: maybe(row, 7),
        entity_error: maybe(row, 8),
        emitted_at: from_micros(value(row, 9)),
        timestamp: value(row, 10),
        targets: value(row, 11),
    }
}

fn claimed(row: &SpiHeapTupleData<'_>) -> Work {
    Work {
        delivery: DeliveryId(*value::<Uuid>(row, 1).as_bytes()),
        subscription: value(row, 2),
        event: value(row, 3),
        event_type: value::<String>(row, 4).into(),
        tenant_id: maybe(row, 5),
        emitted_at: from_micros(value(row, 6)),
        body: value::<String>(row, 7).into(),
        attempts: value::<i32>(row, 8) as u32,
        earlier_attempts: value::<i32>(row, 9) as u32,
        scheduled_at: maybe::<i64>(row, 10).map(from_micros),
    }
}
