//! Reads for the dispatcher: subscriptions, new events, due deliveries, and the number of waiting ones.

use std::collections::HashMap;
use std::ffi::CStr;
use std::sync::Arc;
use std::time::SystemTime;

use delivery::reading::{Key, Snapshot};
use delivery::stored_event::{EventRow, StoredEvent};
use delivery::work::Work;
use delivery::xid::Xid8;
use pgrx::spi::SpiClient;
use pgrx::{Spi, Uuid};
use wire::event::{Event, Operation};
use wire::ids::{DeliveryId, EventId, EventKey, Installation, SubscriptionId};
use wire::preset::Preset;
use wire::secret::Keys;

use super::force_new_plans;
use super::names::Names;
use super::row::{Column, Row, Rows, columns};
use super::statement::Statement;
use super::subscriptions::Subscriptions;
use super::types::{Tid, Xid};
use crate::identity::{self, Identity};

/// How much of a table is read to estimate its number of rows. Reading this much takes some milliseconds.
const SAMPLE_BYTES: f64 = (8 << 20) as f64;

/// About what a delivery takes in memory, without its body.
const BYTES_OF_A_DELIVERY: usize = 320;

columns!(EventColumns {
    xid,
    event_id,
    random,
    installation,
    hops,
    operation,
    event_type,
    entity_type,
    entity_id,
    tenant_id,
    entity,
    entity_error,
    previous,
    emitted_at,
    targets,
    place,
});
columns!(ClaimedColumns {
    delivery_id,
    subscription_id,
    event_id,
    event_random,
    installation,
    event_type,
    entity_type,
    entity_id,
    tenant_id,
    operation,
    hops,
    emitted_at,
    preset,
    body,
    attempts,
    earlier_attempts,
    scheduled_at,
    missed,
});
columns!(NextDueColumns { subscription_id, due_at });
columns!(PendingColumns { pending, missed });

/// The tables that have the subscriptions.
const SUBSCRIPTIONS: &[&CStr] = &[c"subscription", c"preset", c"signing_secret", c"subscription_health"];

pub struct Reads {
    identity: Statement,
    subscriptions: Statement,
    some_subscriptions: Statement,
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
            identity: Statement::reading(identity::LOAD, &[c"identity"]),
            subscriptions: Statement::reading(include_str!("../../sql/queries/load_subscriptions.sql"), SUBSCRIPTIONS),
            some_subscriptions: Statement::reading(
                concat!(include_str!("../../sql/queries/load_subscriptions.sql"), "WHERE s.id = ANY ($1)"),
                SUBSCRIPTIONS,
            ),
            snapshot: Statement::new("SELECT pg_catalog.pg_current_snapshot()::text AS snapshot"),
            late_events: Statement::reading(include_str!("../../sql/queries/fetch_late_events.sql"), &[c"event"]),
            new_events: Statement::reading(include_str!("../../sql/queries/fetch_new_events.sql"), &[c"event"]),
            claim: Statement::new(include_str!("../../sql/queries/claim_deliveries.sql")),
            next_due: Statement::reading(include_str!("../../sql/queries/next_due.sql"), &[c"delivery"]),
            count_pending: Statement::new(include_str!("../../sql/queries/count_pending.sql")),
            names: Names::default(),
        }
    }
}

/// The next rows of a stretch, see [`delivery::reading`].
#[derive(Debug)]
pub struct Page<'a> {
    /// The older snapshot: events that it sees were read before this stretch.
    pub done: &'a Snapshot,
    /// The newer snapshot: the stretch has the events that it sees and `done` does not.
    pub target: &'a Snapshot,
    /// The last event that was read.
    pub cursor: Key,
    /// The maximum number of rows to read.
    pub rows: usize,
    /// No event is taken after the one with which the events have this many bytes.
    pub bytes: usize,
}

/// Events of a page that were read.
#[derive(Debug, Default)]
pub struct PageEvents {
    pub events: Vec<StoredEvent>,
    /// Whether there may be more events in the stretch.
    pub is_full: bool,
}

/// The events of a page that were taken so far, and the number of bytes for which there is still room.
struct Taken {
    events: Vec<StoredEvent>,
    room: usize,
}

impl EventColumns {
    /// Returns about how much memory the event and its deliveries will take. Does not read the texts.
    fn bytes_in_memory(&self, row: &Row<'_>) -> usize {
        let names = [self.event_type, self.entity_type, self.entity_id, self.tenant_id];
        let texts = names.into_iter().chain([self.entity, self.entity_error, self.previous]);
        let targets = row.size(self.targets) / size_of::<i64>();
        texts.map(|text| row.size(text)).sum::<usize>() + targets * BYTES_OF_A_DELIVERY
    }
}

impl Page<'_> {
    /// Returns the transactions that `done` saw in progress and `target` sees finished, except those that were read
    /// already.
    fn late(&self) -> Vec<Xid> {
        let finished = |xid: &&Xid8| self.target.sees(**xid);
        let unread = |xid: &&Xid8| **xid >= self.cursor.0;
        self.done.in_progress.iter().filter(finished).filter(unread).copied().map(Xid).collect()
    }
}

impl Reads {
    pub fn identity(&self) -> Identity {
        Spi::connect(|client| Identity::of(self.identity.read(client, &[])))
    }

    /// Reads the subscriptions. `max_in_flight` applies to those that do not have their own maximum.
    pub fn subscriptions(&self, max_in_flight: usize, keys: &Keys) -> Subscriptions {
        Spi::connect(|client| Subscriptions::read(self.subscriptions.read(client, &[]), max_in_flight, keys))
    }

    /// Reads those of these subscriptions that exist.
    pub fn some_subscriptions(&self, ids: &[SubscriptionId], max_in_flight: usize, keys: &Keys) -> Subscriptions {
        force_new_plans();
        let ids: Vec<i64> = ids.iter().map(|id| id.0).collect();
        Spi::connect(|client| {
            Subscriptions::read(self.some_subscriptions.read(client, &[ids.into()]), max_in_flight, keys)
        })
    }

    /// Returns the snapshot of the current transaction.
    pub fn snapshot(&self) -> Snapshot {
        Spi::connect(|client| {
            let mut rows = self.snapshot.read(client, &[]);
            let column = rows.column("snapshot");
            let row = rows.next().expect("one row");
            Snapshot::parse(row.text(column)).expect("a snapshot")
        })
    }

    /// Reads the events of a page, in order of transaction and id.
    pub fn events(&self, page: &Page<'_>) -> PageEvents {
        Spi::connect(|client| {
            let mut taken = Taken { events: Vec::new(), room: page.bytes };
            // Late transactions come before all new ones.
            let late = page.late();
            if !late.is_empty() {
                self.take_events(self.late_rows(client, page, late), &mut taken);
            }
            let rows = page.rows - taken.events.len();
            if rows > 0 && taken.room > 0 {
                self.take_events(self.new_rows(client, page, rows), &mut taken);
            }
            fault::point("read");
            PageEvents { is_full: taken.events.len() == page.rows || taken.room == 0, events: taken.events }
        })
    }

    fn late_rows<'conn>(&self, client: &SpiClient<'conn>, page: &Page<'_>, late: Vec<Xid>) -> Rows<'conn> {
        let (xid, id) = page.cursor;
        self.late_events.read(client, &[late.into(), Xid(xid).into(), id.0.into(), (page.rows as i64).into()])
    }

    fn new_rows<'conn>(&self, client: &SpiClient<'conn>, page: &Page<'_>, rows: usize) -> Rows<'conn> {
        // Pass one lower bound, the greater of two. With both bounds in the query, an index scan would start at the
        // first of them, and would skip many rows each time if a transaction has many events.
        let after = page.cursor.max((page.done.xmax, EventId(0)));
        let in_progress: Vec<Xid> = page.target.in_progress.iter().copied().map(Xid).collect();
        let args = [
            Xid(after.0).into(),
            after.1.0.into(),
            Xid(page.target.xmax).into(),
            in_progress.into(),
            (rows as i64).into(),
        ];
        self.new_events.read(client, &args)
    }

    /// Takes events until there is no room. Large texts of a row are stored elsewhere, and are read only if the row is
    /// taken.
    fn take_events(&self, rows: Rows<'_>, taken: &mut Taken) {
        let columns = EventColumns::of(&rows);
        for row in rows {
            if taken.room == 0 {
                break;
            }
            taken.room = taken.room.saturating_sub(columns.bytes_in_memory(&row));
            taken.events.push(self.event(&row, &columns));
        }
    }

    fn event(&self, row: &Row<'_>, columns: &EventColumns) -> StoredEvent {
        let (Xid(xid), Tid(block, line)) = (row.value(columns.xid), row.value(columns.place));
        // A target that was disabled when the event was emitted has a negative number.
        let targets = row.numbers(columns.targets);
        StoredEvent {
            row: EventRow {
                xid,
                event: event_key(row, columns.event_id, columns.random, columns.installation),
                place: (block, line),
            },
            targets: targets.iter().map(|target| SubscriptionId(target.abs())).collect(),
            missed: targets.iter().filter(|target| **target < 0).map(|target| SubscriptionId(-target)).collect(),
            event: Event {
                event_type: self.names.get(row.text(columns.event_type)),
                entity_type: self.names.get(row.text(columns.entity_type)),
                entity_id: row.maybe_text(columns.entity_id).map(Arc::from),
                tenant_id: row.maybe_text(columns.tenant_id).map(Arc::from),
                entity: row.maybe(columns.entity),
                entity_error: row.maybe(columns.entity_error),
                previous: row.maybe(columns.previous),
                emitted_at: row.time(columns.emitted_at).expect("a time that is not null"),
            },
            operation: row.maybe_text(columns.operation).and_then(Operation::parse),
            hops: row.value(columns.hops),
        }
    }

    /// Claims due deliveries for this run of the dispatcher. `room` has the maximum number for each subscription.
    pub fn claim(&self, room: &[(SubscriptionId, i32)], run: i64) -> Vec<Work> {
        let (ids, counts): (Vec<i64>, Vec<i32>) = room.iter().map(|(id, count)| (id.0, *count)).unzip();
        Spi::connect_mut(|client| {
            let rows = self.claim.write(client, &[ids.into(), counts.into(), run.into()]);
            let columns = ClaimedColumns::of(&rows);
            fault::point("claim");
            let mut bodies = HashMap::new();
            rows.map(|row| claimed(&row, &columns, &mut bodies)).collect()
        })
    }

    /// Returns when the earliest waiting delivery of each subscription is due.
    pub fn next_due(&self, subscriptions: &[SubscriptionId]) -> Vec<(SubscriptionId, Option<SystemTime>)> {
        Spi::connect(|client: &SpiClient<'_>| {
            let rows = self.next_due.read(client, &[subscriptions.iter().map(|id| id.0).collect::<Vec<_>>().into()]);
            let columns = NextDueColumns::of(&rows);
            let due = |row: Row<'_>| (SubscriptionId(row.value(columns.subscription_id)), row.time(columns.due_at));
            rows.map(due).collect()
        })
    }

    /// Returns about how many events and deliveries wait, and how many deliveries subscriptions have missed.
    pub fn count_pending(&self) -> (i64, i64) {
        Spi::connect(|client: &SpiClient<'_>| {
            let mut rows = self.count_pending.read(client, &[SAMPLE_BYTES.into()]);
            let columns = PendingColumns::of(&rows);
            let row = rows.next().expect("one row");
            (row.value(columns.pending), row.value(columns.missed))
        })
    }
}

fn event_key(row: &Row<'_>, id: Column, random: Column, installation: Column) -> EventKey {
    let installation = Installation(*row.value::<Uuid>(installation).as_bytes());
    EventKey { id: EventId(row.value(id)), random: row.value(random), installation }
}

/// Returns the delivery of a row. Rows of one event share their body.
fn claimed(row: &Row<'_>, columns: &ClaimedColumns, bodies: &mut HashMap<i64, Arc<str>>) -> Work {
    let text = row.text(columns.body);
    let known = bodies.entry(row.value(columns.event_id)).or_insert_with(|| text.into());
    let body = if **known == *text { Arc::clone(known) } else { text.into() };
    Work {
        body,
        delivery: DeliveryId(*row.value::<Uuid>(columns.delivery_id).as_bytes()),
        subscription: SubscriptionId(row.value(columns.subscription_id)),
        event: event_key(row, columns.event_id, columns.event_random, columns.installation),
        event_type: row.text(columns.event_type).into(),
        entity_type: row.text(columns.entity_type).into(),
        entity_id: row.maybe_text(columns.entity_id).map(Arc::from),
        operation: row.maybe_text(columns.operation).and_then(Operation::parse),
        hops: row.value(columns.hops),
        tenant_id: row.maybe_text(columns.tenant_id).map(Arc::from),
        emitted_at: row.time(columns.emitted_at).expect("a time that is not null"),
        preset: Preset::parse(row.text(columns.preset)).expect("a preset of hydra.preset"),
        attempts: row.value::<i32>(columns.attempts) as u32,
        earlier_attempts: row.value::<i32>(columns.earlier_attempts) as u32,
        scheduled_at: row.time(columns.scheduled_at),
        missed: row.value(columns.missed),
    }
}
