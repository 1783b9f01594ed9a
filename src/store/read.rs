//! Reads for the dispatcher: subscriptions, new events, due deliveries, and the number of waiting ones.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::SystemTime;

use delivery::reading::{Key, Snapshot};
use delivery::stored_event::{EventRow, StoredEvent};
use delivery::work::Work;
use delivery::xid::Xid8;
use pgrx::spi::SpiClient;
use pgrx::{Spi, Uuid};
use wire::event::Event;
use wire::ids::{DeliveryId, EventId, SubscriptionId};
use wire::preset::Preset;
use wire::secret::Keys;

use super::names::Names;
use super::row::{Row, Rows, columns};
use super::statement::Statement;
use super::subscriptions::Subscriptions;
use super::types::{Tid, Xid};

/// How much of a table is read to estimate its number of rows. Reading this much takes some milliseconds.
const SAMPLE_BYTES: f64 = (8 << 20) as f64;

columns!(IdentityColumns { namespace, at_home });
columns!(EventColumns {
    xid,
    event_id,
    event_type,
    entity_type,
    entity_id,
    tenant_id,
    entity,
    entity_error,
    emitted_at,
    targets,
    place,
    bytes,
});
columns!(ClaimedColumns {
    delivery_id,
    subscription_id,
    event_id,
    event_type,
    tenant_id,
    emitted_at,
    preset,
    body,
    attempts,
    earlier_attempts,
    scheduled_at,
});
columns!(NextDueColumns { subscription_id, due_at });

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
            snapshot: Statement::new("SELECT pg_catalog.pg_current_snapshot()::text AS snapshot"),
            late_events: Statement::new(include_str!("../../sql/queries/fetch_late_events.sql")),
            new_events: Statement::new(include_str!("../../sql/queries/fetch_new_events.sql")),
            claim: Statement::new(include_str!("../../sql/queries/claim_deliveries.sql")),
            next_due: Statement::new(include_str!("../../sql/queries/next_due.sql")),
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
    /// No row is read after the one with which the sizes of the rows reach this many bytes.
    pub bytes: usize,
}

/// Events of a page that were read.
#[derive(Debug, Default)]
pub struct PageEvents {
    pub events: Vec<StoredEvent>,
    /// Whether there may be more events in the stretch.
    pub is_full: bool,
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
    /// Returns the namespace from which delivery ids are derived; `None` if the database is a copy that was not
    /// adopted.
    pub fn identity(&self) -> Option<[u8; 16]> {
        Spi::connect(|client| {
            let mut rows = self.identity.read(client, &[]);
            let columns = IdentityColumns::of(&rows);
            let row = rows.next()?;
            let namespace: Uuid = row.maybe(columns.namespace)?;
            Some(*namespace.as_bytes()).filter(|_| row.value(columns.at_home))
        })
    }

    /// Reads the subscriptions. `max_in_flight` applies to those that do not have their own maximum.
    pub fn subscriptions(&self, max_in_flight: usize, keys: &Keys) -> Subscriptions {
        Spi::connect(|client| Subscriptions::read(self.subscriptions.read(client, &[]), max_in_flight, keys))
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
            // Late transactions come before all new ones.
            let (mut events, mut bytes) = self.late_events(client, page);
            if events.len() < page.rows && bytes < page.bytes as f64 {
                let rest = Page { rows: page.rows - events.len(), bytes: page.bytes - bytes as usize, ..*page };
                let (new, more) = self.new_events(client, &rest);
                events.extend(new);
                bytes += more;
            }
            fault::point("read");
            PageEvents { is_full: events.len() == page.rows || bytes >= page.bytes as f64, events }
        })
    }

    fn late_events(&self, client: &SpiClient<'_>, page: &Page<'_>) -> (Vec<StoredEvent>, f64) {
        let late = page.late();
        if late.is_empty() {
            return (Vec::new(), 0.0);
        }
        let (xid, id) = page.cursor;
        let args = [late.into(), Xid(xid).into(), id.0.into(), (page.rows as i64).into(), (page.bytes as f64).into()];
        self.take_events(self.late_events.read(client, &args))
    }

    fn new_events(&self, client: &SpiClient<'_>, page: &Page<'_>) -> (Vec<StoredEvent>, f64) {
        // Pass one lower bound, the greater of two. With both bounds in the query, an index scan would start at the
        // first of them, and would skip many rows each time if a transaction has many events.
        let after = page.cursor.max((page.done.xmax, EventId(0)));
        let in_progress: Vec<Xid> = page.target.in_progress.iter().copied().map(Xid).collect();
        let args = [
            Xid(after.0).into(),
            after.1.0.into(),
            Xid(page.target.xmax).into(),
            in_progress.into(),
            (page.rows as i64).into(),
            (page.bytes as f64).into(),
        ];
        self.take_events(self.new_events.read(client, &args))
    }

    /// Returns the events, and the sum of their sizes.
    fn take_events(&self, rows: Rows<'_>) -> (Vec<StoredEvent>, f64) {
        let columns = EventColumns::of(&rows);
        let mut bytes = 0.0;
        let events = rows.map(|row| {
            bytes += row.value::<f64>(columns.bytes);
            self.event(&row, &columns)
        });
        (events.collect(), bytes)
    }

    fn event(&self, row: &Row<'_>, columns: &EventColumns) -> StoredEvent {
        let (Xid(xid), Tid(block, line)) = (row.value(columns.xid), row.value(columns.place));
        StoredEvent {
            row: EventRow { xid, id: EventId(row.value(columns.event_id)), place: (block, line) },
            targets: row.numbers(columns.targets, SubscriptionId),
            event: Event {
                event_type: self.names.get(row.text(columns.event_type)),
                entity_type: self.names.get(row.text(columns.entity_type)),
                entity_id: row.maybe(columns.entity_id),
                tenant_id: row.maybe(columns.tenant_id),
                entity: row.maybe(columns.entity),
                entity_error: row.maybe(columns.entity_error),
                emitted_at: row.time(columns.emitted_at).expect("a time that is not null"),
            },
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

    /// Returns about how many events and deliveries wait.
    pub fn count_pending(&self) -> i64 {
        Spi::connect(|client: &SpiClient<'_>| {
            let mut rows = self.count_pending.read(client, &[SAMPLE_BYTES.into()]);
            let column = rows.column("pending");
            rows.next().expect("one row").value(column)
        })
    }
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
        event: EventId(row.value(columns.event_id)),
        event_type: row.text(columns.event_type).into(),
        tenant_id: row.maybe(columns.tenant_id),
        emitted_at: row.time(columns.emitted_at).expect("a time that is not null"),
        preset: Preset::parse(row.text(columns.preset)).expect("a preset of hydra.preset"),
        attempts: row.value::<i32>(columns.attempts) as u32,
        earlier_attempts: row.value::<i32>(columns.earlier_attempts) as u32,
        scheduled_at: row.time(columns.scheduled_at),
    }
}
