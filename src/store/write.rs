//! Writes the decisions of the dispatcher. Rows that were deleted in the meantime are skipped.

use std::cell::Cell;
use std::time::SystemTime;

use delivery::stored_event::EventRow;
use delivery::tally::{TIMES, Tally};
use delivery::work::Work;
use delivery::writes::{AttemptRecord, RowState, RowWrite, Verdicts, Writes};
use pgrx::datum::TimestampWithTimeZone;
use pgrx::spi::SpiClient;
use pgrx::{Spi, Uuid, error};
use wire::ids::{DeliveryId, EventId, SubscriptionId};

use super::Store;
use super::row::{Row, columns};
use super::statement::Statement;
use super::types::{Tid, Xid, to_timestamp};
use crate::backend::setting;

/// Bodies are written in parts of about this size, because an array cannot be larger than a gigabyte.
const STATEMENT_BYTES: usize = 16 << 20;

/// The maximum number of old rows of a table that are removed in one transaction.
const FORGOTTEN_AT_ONCE: i64 = 5000;

/// The maximum number of rows of a subscription that are made due earlier in one transaction.
const ADVANCED_AT_ONCE: i64 = 1000;

columns!(DeletedColumns { xid, event_id });

pub struct WriteStatements {
    delete_events: Statement,
    delete_events_in_place: Statement,
    /// Whether the events of the next batch have to be found by key, not by place.
    places_lost: Cell<bool>,
    insert_deliveries: Statement,
    update_deliveries: Statement,
    delete_deliveries: Statement,
    delete_pending: Statement,
    insert_attempts: Statement,
    emit_delivery_failed: Statement,
    record_failures: Statement,
    disable: Statement,
    record_faults: Statement,
    add_counts: Statement,
    forget_attempts: Statement,
    forget_failed: Statement,
    advance_due: Statement,
}

impl Default for WriteStatements {
    fn default() -> Self {
        Self {
            delete_events: Statement::new(include_str!("../../sql/queries/delete_events.sql")),
            delete_events_in_place: Statement::new(include_str!("../../sql/queries/delete_events_in_place.sql")),
            places_lost: Cell::new(false),
            insert_deliveries: Statement::new(include_str!("../../sql/queries/insert_deliveries.sql")),
            update_deliveries: Statement::new(include_str!("../../sql/queries/update_deliveries.sql")),
            delete_deliveries: Statement::new(include_str!("../../sql/queries/delete_deliveries.sql")),
            delete_pending: Statement::new(include_str!("../../sql/queries/delete_pending.sql")),
            insert_attempts: Statement::new(include_str!("../../sql/queries/insert_attempts.sql")),
            emit_delivery_failed: Statement::new(include_str!("../../sql/queries/emit_delivery_failed.sql")),
            record_failures: Statement::new(include_str!("../../sql/queries/record_failures.sql")),
            disable: Statement::new(include_str!("../../sql/queries/disable_subscriptions.sql")),
            record_faults: Statement::new(include_str!("../../sql/queries/record_faults.sql")),
            add_counts: Statement::new(include_str!("../../sql/queries/add_counts.sql")),
            forget_attempts: Statement::new(include_str!("../../sql/queries/forget_attempts.sql")),
            forget_failed: Statement::new(include_str!("../../sql/queries/forget_failed.sql")),
            advance_due: Statement::new(include_str!("../../sql/queries/advance_due.sql")),
        }
    }
}

impl Store {
    /// Releases the claims of earlier dispatchers, and deletes deliveries whose subscription was deleted.
    pub fn clean_up(&self) {
        Spi::run(include_str!("../../sql/queries/release_claims.sql")).expect("SPI writes");
        Spi::run(include_str!("../../sql/queries/delete_orphans.sql")).expect("SPI writes");
        Spi::run(include_str!("../../sql/queries/forget_faults.sql")).expect("SPI writes");
    }

    /// Returns whether the latest batch failed because rows of events are no longer at the place (`ctid`) from which
    /// they were read. If the batch is written again, the rows are found by key.
    pub fn has_lost_places(&self) -> bool {
        self.writes.places_lost.get()
    }

    /// Writes a batch of decisions. `run` is the number of this run of the dispatcher.
    pub fn apply(&self, writes: &Writes, run: i64) {
        if !writes.rows.is_empty() {
            force_new_plans();
        }
        Spi::connect_mut(|client| {
            self.apply_rows(client, writes, run);
            if !writes.deleted.is_empty() {
                self.writes
                    .delete_pending
                    .write(client, &[writes.deleted.iter().map(|id| id.0).collect::<Vec<_>>().into()]);
            }
            self.delete_events(client, &writes.finished_events);
            self.insert_attempts(client, &writes.attempts);
            self.emit_delivery_failed(client, writes);
            fault::point("write");
        });
    }

    /// Writes the health of subscriptions. To be called in a separate transaction, because it waits for clients that
    /// are changing a subscription.
    pub fn apply_verdicts(&self, verdicts: &Verdicts) {
        let failing = || verdicts.failing.iter();
        let health = [
            failing().map(|(id, _)| id.0).collect::<Vec<_>>().into(),
            failing().map(|(_, failing)| failing.attempts as i32).collect::<Vec<_>>().into(),
            failing().map(|(_, failing)| failing.since.map(to_timestamp)).collect::<Vec<_>>().into(),
            failing().map(|(_, failing)| failing.lasted.as_millis() as i64).collect::<Vec<_>>().into(),
        ];
        let (ids, reasons) = unzip(verdicts.disabled.iter().map(|(id, reason)| (id.0, reason.as_str().to_owned())));
        let (faulty, faults) = unzip(verdicts.faults.iter().map(|(id, fault)| (id.0, fault.clone())));
        force_new_plans();
        Spi::connect_mut(|client| {
            self.writes.record_failures.write(client, &health);
            if !faulty.is_empty() {
                self.writes.record_faults.write(client, &[faulty.into(), faults.into()]);
            }
            // Run this only if there is something to disable: the statement makes all sessions read the subscriptions
            // again, even if it changes no row.
            if !ids.is_empty() {
                self.writes.disable.write(client, &[ids.into(), reasons.into()]);
            }
        });
    }

    /// Deletes finished events by their place (`ctid`), which costs a third of deleting them by key. But another row
    /// may be in that place by now: after VACUUM FULL, or when a client has deleted the row. Then the transaction
    /// fails, and the caller has to write the batch again. The second time, the events are deleted by key.
    fn delete_events(&self, client: &mut SpiClient<'_>, finished: &[EventRow]) {
        if finished.is_empty() {
            return;
        }
        if self.writes.places_lost.take() {
            force_new_plans();
            let (xids, ids) = unzip(finished.iter().map(|row| (Xid(row.xid), row.id.0)));
            self.writes.delete_events.write(client, &[xids.into(), ids.into()]);
            return;
        }
        let mut rows = finished.to_vec();
        rows.sort_unstable_by_key(|row| row.place);
        let places: Vec<Tid> = rows.iter().map(|row| Tid(row.place.0, row.place.1)).collect();
        let deleted = self.writes.delete_events_in_place.write(client, &[places.into()]);
        let columns = DeletedColumns::of(&deleted);
        let key = |row: Row<'_>| (row.value::<Xid>(columns.xid).0, EventId(row.value(columns.event_id)));
        if !deleted.map(key).eq(rows.iter().map(|row| (row.xid, row.id))) {
            self.writes.places_lost.set(true);
            error!("rows of hydra.event were moved or deleted after they had been read");
        }
    }

    fn apply_rows(&self, client: &mut SpiClient<'_>, writes: &Writes, run: i64) {
        let mut inserts = Vec::new();
        let mut updates = Vec::new();
        let mut deletes = Vec::new();
        for (id, write) in &writes.rows {
            match write {
                RowWrite::Insert(work, state) => inserts.push((work.as_ref(), *state)),
                RowWrite::Update(_, state) => updates.push((*id, *state)),
                RowWrite::Delete => deletes.push(uuid(*id)),
            }
        }
        // Insert in order of the events, so that deliveries that become due together are sent in that order.
        inserts.sort_by_key(|(work, _)| work.event);
        let largest = inserts.iter().map(|(work, _)| work.body.len()).max().unwrap_or(0).max(1);
        for part in inserts.chunks((STATEMENT_BYTES / largest).max(1)) {
            self.insert_deliveries(client, part, run);
        }
        if !updates.is_empty() {
            self.update_deliveries(client, &updates, run);
        }
        if !deletes.is_empty() {
            self.writes.delete_deliveries.write(client, &[deletes.into()]);
        }
    }

    fn insert_deliveries(&self, client: &mut SpiClient<'_>, inserts: &[(&Work, RowState)], run: i64) {
        let column = inserts.iter();
        let works = || column.clone().map(|(work, _)| work);
        let states = || column.clone().map(|(_, state)| RowColumns::of(*state));
        let args = [
            works().map(|work| uuid(work.delivery)).collect::<Vec<_>>().into(),
            works().map(|work| work.subscription.0).collect::<Vec<_>>().into(),
            works().map(|work| work.event.0).collect::<Vec<_>>().into(),
            works().map(|work| work.event_type.to_string()).collect::<Vec<_>>().into(),
            works().map(|work| work.tenant_id.clone()).collect::<Vec<_>>().into(),
            works().map(|work| to_timestamp(work.emitted_at)).collect::<Vec<_>>().into(),
            works().map(|work| work.preset.as_str().to_owned()).collect::<Vec<_>>().into(),
            works().map(|work| work.body.to_string()).collect::<Vec<_>>().into(),
            states().map(|state| state.failed).collect::<Vec<_>>().into(),
            states().map(|state| state.attempts.unwrap_or(0)).collect::<Vec<_>>().into(),
            states().map(|state| state.scheduled_at).collect::<Vec<_>>().into(),
            states().map(|state| state.due_at).collect::<Vec<_>>().into(),
            run.into(),
            states().map(|state| state.claimed).collect::<Vec<_>>().into(),
        ];
        self.writes.insert_deliveries.write(client, &args);
    }

    fn update_deliveries(&self, client: &mut SpiClient<'_>, updates: &[(DeliveryId, RowState)], run: i64) {
        let states = || updates.iter().map(|(_, state)| RowColumns::of(*state));
        let args = [
            updates.iter().map(|(id, _)| uuid(*id)).collect::<Vec<_>>().into(),
            states().map(|state| state.attempts).collect::<Vec<_>>().into(),
            states().map(|state| state.scheduled_at).collect::<Vec<_>>().into(),
            states().map(|state| state.due_at).collect::<Vec<_>>().into(),
            run.into(),
        ];
        self.writes.update_deliveries.write(client, &args);
    }

    fn insert_attempts(&self, client: &mut SpiClient<'_>, attempts: &[AttemptRecord]) {
        if attempts.is_empty() {
            return;
        }
        let records = || attempts.iter();
        let class = |record: &AttemptRecord| record.error.as_ref().map(|(class, _)| class.as_str().to_owned());
        let message = |record: &AttemptRecord| record.error.as_ref().map(|(_, message)| message.clone());
        let args = [
            records().map(|record| uuid(record.work.delivery)).collect::<Vec<_>>().into(),
            records().map(|record| record.work.subscription.0).collect::<Vec<_>>().into(),
            records().map(|record| record.work.event.0).collect::<Vec<_>>().into(),
            records().map(|record| record.work.event_type.to_string()).collect::<Vec<_>>().into(),
            records().map(|record| record.attempt as i32).collect::<Vec<_>>().into(),
            records().map(|record| record.status.map(i32::from)).collect::<Vec<_>>().into(),
            records().map(class).collect::<Vec<_>>().into(),
            records().map(message).collect::<Vec<_>>().into(),
            records().map(|record| record.excerpt.clone()).collect::<Vec<_>>().into(),
            records().map(|record| record.response_ms).collect::<Vec<_>>().into(),
            records().map(|record| to_timestamp(record.at)).collect::<Vec<_>>().into(),
            records().map(|record| record.next_at.map(to_timestamp)).collect::<Vec<_>>().into(),
        ];
        self.writes.insert_attempts.write(client, &args);
    }

    /// Emits `webhook.delivery_failed` for deliveries that have failed. To be called after their rows and history were
    /// written.
    fn emit_delivery_failed(&self, client: &mut SpiClient<'_>, writes: &Writes) {
        let failed = writes.rows.iter().filter_map(|(id, write)| match write {
            RowWrite::Insert(_, RowState::Failed { .. }) | RowWrite::Update(_, RowState::Failed { .. }) => Some(*id),
            _ => None,
        });
        let failed: Vec<Uuid> = failed.map(uuid).collect();
        if !failed.is_empty() {
            self.writes.emit_delivery_failed.write(client, &[failed.into()]);
        }
    }

    /// Adds these counts to those that are stored.
    pub fn add_counts(&self, tally: &Tally) {
        let counts = || tally.iter();
        let args = [
            counts().map(|(id, _, _)| id.0).collect::<Vec<_>>().into(),
            counts().map(|(_, hour, _)| hour as i64).collect::<Vec<_>>().into(),
            counts().map(|(_, _, count)| count.delivered).collect::<Vec<_>>().into(),
            counts().map(|(_, _, count)| count.failed_attempts).collect::<Vec<_>>().into(),
            counts().map(|(_, _, count)| count.failed).collect::<Vec<_>>().into(),
            counts().flat_map(|(_, _, count)| count.times).collect::<Vec<_>>().into(),
            (TIMES as i64).into(),
        ];
        Spi::connect_mut(|client| {
            self.writes.add_counts.write(client, &args);
        });
    }
}

impl Store {
    /// Removes some history and some failed deliveries that are older than `before`. Returns whether there were any.
    pub fn forget(&self, before: SystemTime) -> bool {
        force_new_plans();
        Spi::connect_mut(|client| {
            let mut forget = |statement: &Statement| {
                statement.write(client, &[to_timestamp(before).into(), FORGOTTEN_AT_ONCE.into()]).count() > 0
            };
            // Run both statements, even if the first removed something.
            forget(&self.writes.forget_attempts) | forget(&self.writes.forget_failed)
        })
    }
}

impl Store {
    /// Makes deliveries of these subscriptions due earlier that are due too far away, see
    /// [`is_too_far`](delivery::dispatch::Dispatch::is_too_far). Returns whether there may be more of them.
    pub fn advance_due(&self, subscriptions: &[SubscriptionId]) -> bool {
        let ids: Vec<i64> = subscriptions.iter().map(|id| id.0).collect();
        force_new_plans();
        Spi::connect_mut(|client| {
            let advanced = self.writes.advance_due.write(client, &[ids.into(), ADVANCED_AT_ONCE.into()]).count();
            advanced as i64 >= ADVANCED_AT_ONCE
        })
    }
}

/// Makes Postgres plan the statements of this transaction again, for the present sizes of their arguments and tables. A
/// plan that was made while a table was empty would read the whole table for each row of the arguments.
fn force_new_plans() {
    setting::pin_local(c"plan_cache_mode", c"force_custom_plan");
}

/// A [`RowState`] as columns of a row.
#[derive(Default)]
struct RowColumns {
    attempts: Option<i32>,
    scheduled_at: Option<TimestampWithTimeZone>,
    due_at: Option<TimestampWithTimeZone>,
    claimed: bool,
    failed: bool,
}

impl RowColumns {
    fn of(state: RowState) -> Self {
        match state {
            RowState::Claimed => Self { claimed: true, ..Self::default() },
            RowState::Released => Self::default(),
            RowState::Due { attempts, scheduled_at, due_at } => Self {
                attempts: Some(attempts as i32),
                scheduled_at: scheduled_at.map(to_timestamp),
                due_at: Some(to_timestamp(due_at)),
                ..Self::default()
            },
            RowState::Failed { attempts } => Self { attempts: Some(attempts as i32), failed: true, ..Self::default() },
        }
    }
}

fn uuid(id: DeliveryId) -> Uuid {
    Uuid::from_bytes(id.0)
}

fn unzip<A, B>(pairs: impl Iterator<Item = (A, B)>) -> (Vec<A>, Vec<B>) {
    pairs.unzip()
}
