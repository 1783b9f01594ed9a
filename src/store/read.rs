//! What the dispatcher reads.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use delivery::reading::{Key, Snapshot};
use delivery::stored_event::{EventRow, StoredEvent};
use delivery::subscription::{Failing, Subscription};
use delivery::work::Work;
use delivery::xid::Xid8;
use pgrx::datum::TimestampWithTimeZone;
use pgrx::spi::SpiClient;
use pgrx::{Spi, Uuid};
use wire::event::Event;
use wire::headers;
use wire::ids::{DeliveryId, EventId, SubscriptionId};
use wire::preset::Preset;
use wire::request::Endpoint;
use wire::secret::Keys;
use wire::secret::SigningSecret;
use wire::signature::Scheme;

use super::names::Names;
use super::row::Row;
use super::statement::Statement;
use super::types::to_system_time;
use super::{Store, Tid, Xid};

/// How much of a table is looked at to tell how many rows it has; some milliseconds' worth.
const SAMPLE_BYTES: f64 = (8 << 20) as f64;

pub struct Reads {
    identity: Statement,
    subscriptions: Statement,
    snapshot: Statement,
    late_events: Statement,
    new_events: Statement,
    claim: Statement,
    next_due: Statement,
    count_pending: Statement,
    names: Names,
}

impl Default for Reads {
    fn default() -> Self {
        Self {
            identity: Statement::new(include_str!("../../sql/queries/load_identity.sql")),
            subscriptions: Statement::new(include_str!("../../sql/queries/load_subscriptions.sql")),
            snapshot: Statement::new("SELECT pg_catalog.pg_current_snapshot()::text"),
            late_events: Statement::new(include_str!("../../sql/queries/fetch_late_events.sql")),
            new_events: Statement::new(include_str!("../../sql/queries/fetch_new_events.sql")),
            claim: Statement::new(include_str!("../../sql/queries/claim_deliveries.sql")),
            next_due: Statement::new(include_str!("../../sql/queries/next_due.sql")),
            count_pending: Statement::new(include_str!("../../sql/queries/count_pending.sql")),
            names: Names::default(),
        }
    }
}

/// The subscriptions, and when they have to be read again although nobody changed them.
pub struct Subscriptions {
    pub list: Vec<Subscription>,
    /// When the first overlap of two secrets ends.
    pub stale_at: Option<SystemTime>,
    /// Those with a secret that cannot be read. Nothing is sent to them.
    pub unreadable: BTreeSet<SubscriptionId>,
}

/// The next rows of a stretch, see `progress`.
#[derive(Debug)]
pub struct Page<'a> {
    pub done: &'a Snapshot,
    pub target: &'a Snapshot,
    pub cursor: Key,
    pub rows: usize,
}

impl Page<'_> {
    /// Transactions that `done` saw in progress and `target` sees finished, as far as they are still to be read.
    fn late(&self) -> Vec<Xid> {
        let finished = |xid: &&Xid8| self.target.sees(**xid);
        let unread = |xid: &&Xid8| **xid >= self.cursor.0;
        self.done.in_progress.iter().filter(finished).filter(unread).copied().map(Xid).collect()
    }
}

impl Store {
    /// The namespace of this installation; `None` where the database is a copy that nobody has adopted.
    pub fn identity(&self) -> Option<[u8; 16]> {
        Spi::connect(|client| {
            let mut rows = self.reads.identity.read(client, &[]);
            let row = rows.next()?;
            let ours: bool = row.value(2);
            let namespace: String = row.maybe(1)?;
            let bytes = hex::decode(namespace.replace('-', "")).ok()?;
            bytes.try_into().ok().filter(|_| ours)
        })
    }

    /// `max_in_flight` is for those that do not say themselves.
    pub fn subscriptions(&self, max_in_flight: usize, keys: &Keys) -> Subscriptions {
        Spi::connect(|client| {
            let mut subscriptions = Subscriptions { list: Vec::new(), stale_at: None, unreadable: BTreeSet::new() };
            for row in self.reads.subscriptions.read(client, &[]) {
                let stale_at = time(&row, 14);
                subscriptions.stale_at = subscriptions.stale_at.into_iter().chain(stale_at).min();
                let secrets = secrets(&row, keys);
                if secrets.is_none() {
                    subscriptions.unreadable.insert(SubscriptionId(row.value(1)));
                }
                subscriptions.list.extend(subscription(&row, max_in_flight, secrets));
            }
            subscriptions
        })
    }

    /// What the current transaction sees.
    pub fn snapshot(&self) -> Snapshot {
        Spi::connect(|client| {
            let mut rows = self.reads.snapshot.read(client, &[]);
            let row = rows.next().expect("one row");
            Snapshot::parse(row.text(1)).expect("a snapshot")
        })
    }

    /// In order of transaction and id; fewer than asked for means that there are no more.
    pub fn events(&self, page: &Page<'_>) -> Vec<StoredEvent> {
        Spi::connect(|client| {
            // Late transactions come before all new ones.
            let mut events = self.late_events(client, page);
            if events.len() < page.rows {
                events.extend(self.new_events(client, page, page.rows - events.len()));
            }
            fault::point("read");
            events
        })
    }

    fn late_events(&self, client: &SpiClient<'_>, page: &Page<'_>) -> Vec<StoredEvent> {
        let late = page.late();
        if late.is_empty() {
            return Vec::new();
        }
        let (xid, id) = page.cursor;
        let args = [late.into(), Xid(xid).into(), id.0.into(), (page.rows as i64).into()];
        self.reads.late_events.read(client, &args).map(|row| self.event(&row)).collect()
    }

    fn new_events(&self, client: &SpiClient<'_>, page: &Page<'_>, rows: usize) -> Vec<StoredEvent> {
        // One lower bound, not two: the index is entered at the first it finds, and one transaction can be long.
        let after = page.cursor.max((page.done.xmax, EventId(0)));
        let in_progress: Vec<Xid> = page.target.in_progress.iter().copied().map(Xid).collect();
        let args = [
            Xid(after.0).into(),
            after.1.0.into(),
            Xid(page.target.xmax).into(),
            in_progress.into(),
            (rows as i64).into(),
        ];
        self.reads.new_events.read(client, &args).map(|row| self.event(&row)).collect()
    }

    fn event(&self, row: &Row<'_>) -> StoredEvent {
        let Tid(block, line) = row.value(11);
        StoredEvent {
            row: EventRow { xid: row.value::<Xid>(1).0, id: EventId(row.value(2)), place: (block, line) },
            targets: row.numbers(10).iter().copied().map(SubscriptionId).collect(),
            event: Event {
                event_type: self.reads.names.get(row.text(3)),
                entity_type: self.reads.names.get(row.text(4)),
                entity_id: row.maybe(5),
                tenant_id: row.maybe(6),
                entity: row.maybe(7),
                entity_error: row.maybe(8),
                emitted_at: to_system_time(row.value(9)),
            },
        }
    }

    /// Claims deliveries that are due, for this run of the dispatcher; `room` is how many for which subscription.
    pub fn claim(&self, room: &[(SubscriptionId, i32)], run: i64) -> Vec<Work> {
        let (ids, counts): (Vec<i64>, Vec<i32>) = room.iter().map(|(id, count)| (id.0, *count)).unzip();
        Spi::connect_mut(|client| {
            let rows = self.reads.claim.write(client, &[ids.into(), counts.into(), run.into()]);
            fault::point("claim");
            rows.map(|row| claimed(&row)).collect()
        })
    }

    /// When the earliest waiting delivery of each subscription is due.
    pub fn next_due(&self, subscriptions: &[SubscriptionId]) -> Vec<(SubscriptionId, Option<SystemTime>)> {
        Spi::connect(|client: &SpiClient<'_>| {
            let rows =
                self.reads.next_due.read(client, &[subscriptions.iter().map(|id| id.0).collect::<Vec<_>>().into()]);
            rows.map(|row| (SubscriptionId(row.value(1)), time(&row, 2))).collect()
        })
    }

    /// About how many events and deliveries wait.
    pub fn count_pending(&self) -> i64 {
        Spi::connect(|client: &SpiClient<'_>| {
            let mut rows = self.reads.count_pending.read(client, &[SAMPLE_BYTES.into()]);
            rows.next().expect("one row").value(1)
        })
    }
}

/// Its live secrets, unless one cannot be read.
fn secrets(row: &Row<'_>, keys: &Keys) -> Option<Vec<SigningSecret>> {
    let (subscription, stored): (_, Vec<String>) = (SubscriptionId(row.value(1)), row.value(13));
    let opened = stored.iter().map(|stored| keys.open(stored, subscription).map(SigningSecret::from));
    opened.collect::<Result<_, _>>().ok()
}

/// `None` for one of a preset or signature that this version does not know.
fn subscription(row: &Row<'_>, max_in_flight: usize, secrets: Option<Vec<SigningSecret>>) -> Option<Subscription> {
    let id = SubscriptionId(row.value(1));
    let schemes: Vec<String> = row.value(6);
    // What it is to be sent waits, as while it is paused.
    let active = row.value::<bool>(2) && secrets.is_some();
    let endpoint = Endpoint {
        subscription: id,
        url: row.value(5),
        secrets: secrets.unwrap_or_default(),
        schemes: schemes.iter().map(|name| Scheme::parse(name)).collect::<Option<_>>()?,
        headers: headers::stored(row.text(15)),
        timeout: millis(row.value(7)),
        gate: Arc::default(),
    };
    Some(Subscription {
        id,
        active,
        status_since: to_system_time(row.value(3)),
        preset: Preset::parse(row.text(4))?,
        endpoint: Arc::new(endpoint),
        schedule: row.value::<Vec<i64>>(8).into_iter().map(millis).collect(),
        max_in_flight: row.maybe::<i32>(9).map_or(max_in_flight, |own| own as usize),
        disable_after: row.maybe::<i32>(10).map(|limit| limit as u32),
        stale_after: row.maybe(16).map(millis),
        rate_limit: row.maybe::<i32>(17).map(|limit| limit as u32),
        log_successes: row.value(11),
        failing: Failing { attempts: row.value::<i32>(12) as u32, since: time(row, 18) },
    })
}

fn millis(millis: i64) -> Duration {
    Duration::from_millis(millis.try_into().unwrap_or(0))
}

fn time(row: &Row<'_>, column: usize) -> Option<SystemTime> {
    row.maybe::<TimestampWithTimeZone>(column).map(to_system_time)
}

fn claimed(row: &Row<'_>) -> Work {
    Work {
        delivery: DeliveryId(*row.value::<Uuid>(1).as_bytes()),
        subscription: SubscriptionId(row.value(2)),
        event: EventId(row.value(3)),
        event_type: row.text(4).into(),
        tenant_id: row.maybe(5),
        emitted_at: to_system_time(row.value(6)),
        preset: Preset::parse(row.text(7)).expect("a preset of hydra.preset"),
        body: row.text(8).into(),
        attempts: row.value::<i32>(9) as u32,
        earlier_attempts: row.value::<i32>(10) as u32,
        scheduled_at: time(row, 11),
    }
}
