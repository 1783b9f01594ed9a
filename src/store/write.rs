//! Writes the decisions of the dispatcher. Rows that were deleted in the meantime are skipped.

use std::cell::Cell;

use delivery::stored_event::EventRow;
use delivery::work::Work;
use delivery::writes::{AttemptRecord, Change, Delivered, Move, Part, RowState, Verdicts};
use pgrx::datum::TimestampWithTimeZone;
use pgrx::spi::SpiClient;
use pgrx::{Spi, Uuid, error, warning};
use wire::ids::{DeliveryId, EventId, SubscriptionId};

use super::delivered::KeptDeliveries;
use super::delivery_columns::DeliveryColumns;
use super::force_new_plans;
use super::row::{Row, columns};
use super::statement::Statement;
use super::types::{Tid, Xid, to_timestamp};
use crate::backend::activity::DISPATCHER;

/// The maximum number of rows of a subscription that are made due earlier in one transaction.
const ADVANCED_AT_ONCE: i64 = 1000;

columns!(DeletedColumns { xid, event_id });
columns!(DisabledColumns { subscription_id });
columns!(ReplacedColumns { delivery_id });

pub struct Writes {
    delete_events: Statement,
    delete_events_in_place: Statement,
    remove_targets: Statement,
    /// Whether the events of the next batch have to be found by key, not by place.
    places_lost: Cell<bool>,
    lock_events: Statement,
    insert_deliveries: Statement,
    update_deliveries: Statement,
    delete_deliveries: Statement,
    delete_pending: Statement,
    insert_attempts: Statement,
    delivered: KeptDeliveries,
    emit_delivery_failed: Statement,
    record_failures: Statement,
    disable: Statement,
    emit_subscription_disabled: Statement,
    emit_subscription_failing: Statement,
    record_faults: Statement,
    advance_due: Statement,
}

impl Default for Writes {
    fn default() -> Self {
        Self {
            delete_events: Statement::new(include_str!("../../sql/queries/delete_events.sql")),
            delete_events_in_place: Statement::new(include_str!("../../sql/queries/delete_events_in_place.sql")),
            remove_targets: Statement::new(include_str!("../../sql/queries/remove_targets.sql")),
            places_lost: Cell::new(false),
            lock_events: Statement::new(include_str!("../../sql/queries/lock_events.sql")),
            insert_deliveries: Statement::new(include_str!("../../sql/queries/insert_deliveries.sql")),
            update_deliveries: Statement::new(include_str!("../../sql/queries/update_deliveries.sql")),
            delete_deliveries: Statement::new(include_str!("../../sql/queries/delete_deliveries.sql")),
            delete_pending: Statement::new(include_str!("../../sql/queries/delete_pending.sql")),
            insert_attempts: Statement::new(include_str!("../../sql/queries/insert_attempts.sql")),
            delivered: KeptDeliveries::default(),
            emit_delivery_failed: Statement::new(include_str!("../../sql/queries/emit_delivery_failed.sql")),
            record_failures: Statement::new(include_str!("../../sql/queries/record_failures.sql")),
            disable: Statement::new(include_str!("../../sql/queries/disable_subscriptions.sql")),
            emit_subscription_disabled: Statement::new(include_str!(
                "../../sql/queries/emit_subscription_disabled.sql"
            )),
            emit_subscription_failing: Statement::new(include_str!("../../sql/queries/emit_subscription_failing.sql")),
            record_faults: Statement::new(include_str!("../../sql/queries/record_faults.sql")),
            advance_due: Statement::new(include_str!("../../sql/queries/advance_due.sql")),
        }
    }
}

impl Writes {
    /// Releases the claims of earlier dispatchers, and deletes deliveries whose subscription was deleted.
    pub fn clean_up(&self) {
        Spi::run(include_str!("../../sql/queries/release_claims.sql")).expect("SPI writes");
        Spi::run(include_str!("../../sql/queries/delete_orphans.sql")).expect("SPI writes");
        Spi::run(include_str!("../../sql/queries/forget_faults.sql")).expect("SPI writes");
    }

    /// Returns whether the latest batch failed because rows of events are no longer at the place (`ctid`) from which
    /// they were read. If the batch is written again, the rows are found by key.
    pub fn has_lost_places(&self) -> bool {
        self.places_lost.get()
    }

    /// Writes a part of the decisions. `run` is the number of this run of the dispatcher.
    pub fn apply(&self, part: &Part, run: i64) {
        if !part.moves.is_empty() || !part.changes.is_empty() {
            force_new_plans();
        }
        Spi::connect_mut(|client| {
            let may_be_gone = self.lock_events(client, part);
            self.insert_deliveries(client, part, run, may_be_gone);
            self.change_deliveries(client, &part.changes, run);
            if !part.deleted.is_empty() {
                self.delete_pending.write(client, &[part.deleted.iter().map(|id| id.0).collect::<Vec<_>>().into()]);
            }
            for step in part.moves.iter().filter(|step| !step.is_last) {
                let targets: Vec<i64> = step.subscriptions().map(|id| id.0).collect();
                let event = [Xid(step.row.xid).into(), step.row.event.id.0.into(), targets.into()];
                self.remove_targets.write(client, &event);
            }
            let moved = part.moves.iter().filter(|step| step.is_last).map(|step| step.row);
            self.delete_events(client, moved.chain(part.finished_events.iter().copied()).collect());
            self.delivered.insert(client, &part.delivered);
            self.insert_attempts(client, &part.attempts);
            fault::point("write");
        });
    }

    /// Writes rows of the history.
    pub fn add_history(&self, attempts: &[AttemptRecord]) {
        Spi::connect_mut(|client| self.insert_attempts(client, attempts));
    }

    /// Keeps deliveries that have succeeded.
    pub fn add_delivered(&self, delivered: &[Delivered]) {
        Spi::connect_mut(|client| self.delivered.insert(client, delivered));
    }

    /// Writes the health of subscriptions, and returns those that were disabled. To be called in a separate transaction,
    /// because it waits for clients that are changing a subscription.
    pub fn apply_verdicts(&self, verdicts: &Verdicts) -> Vec<SubscriptionId> {
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
            self.record_failures.write(client, &health);
            if !faulty.is_empty() {
                self.record_faults.write(client, &[faulty.into(), faults.into()]);
            }
            if ids.is_empty() {
                return Vec::new();
            }
            let disabled = self.disable.write(client, &[ids.into(), reasons.into()]);
            let columns = DisabledColumns::of(&disabled);
            disabled.map(|row| SubscriptionId(row.value(columns.subscription_id))).collect()
        })
    }

    /// Deletes finished events by their place (`ctid`), which costs a third of deleting them by key. But another row
    /// may be in that place by now: after VACUUM FULL, or when a client has deleted the row. Then the transaction
    /// fails, and the caller has to write the batch again. The second time, the events are deleted by key.
    fn delete_events(&self, client: &mut SpiClient<'_>, mut rows: Vec<EventRow>) {
        let mut by_key = if self.places_lost.take() { std::mem::take(&mut rows) } else { Vec::new() };
        by_key.extend(rows.extract_if(.., |row| row.place == EventRow::UNKNOWN_PLACE));
        if !by_key.is_empty() {
            force_new_plans();
            let (xids, ids) = unzip(by_key.iter().map(|row| (Xid(row.xid), row.event.id.0)));
            self.delete_events.write(client, &[xids.into(), ids.into()]);
        }
        if rows.is_empty() {
            return;
        }
        rows.sort_unstable_by_key(|row| row.place);
        let places: Vec<Tid> = rows.iter().map(|row| Tid(row.place.0, row.place.1)).collect();
        let deleted = self.delete_events_in_place.write(client, &[places.into()]);
        let columns = DeletedColumns::of(&deleted);
        let key = |row: Row<'_>| (row.value::<Xid>(columns.xid).0, EventId(row.value(columns.event_id)));
        if !deleted.map(key).eq(rows.iter().map(|row| (row.xid, row.event.id))) {
            self.places_lost.set(true);
            error!("rows of hydra.event are no longer at the places where they were read");
        }
    }

    /// Locks the rows of events that move and are not deleted by their place, which would show that somebody has cancelled
    /// their deliveries. Returns whether there are such events. Those whose rows are gone must not move.
    fn lock_events(&self, client: &mut SpiClient<'_>, part: &Part) -> bool {
        let places_lost = self.places_lost.get();
        let has_place = |step: &&Move| step.is_last && step.row.place != EventRow::UNKNOWN_PLACE && !places_lost;
        let by_key = part.moves.iter().filter(|step| !has_place(step));
        let (xids, ids) = unzip(by_key.map(|step| (Xid(step.row.xid), step.row.event.id.0)));
        if ids.is_empty() {
            return false;
        }
        // If somebody is cancelling some of the deliveries, the first statement waits for the end of that. The row was then
        // replaced by another one, which the second statement finds.
        for _ in 0..2 {
            self.lock_events.write(client, &[xids.clone().into(), ids.clone().into()]);
        }
        true
    }

    fn change_deliveries(&self, client: &mut SpiClient<'_>, changes: &[Change], run: i64) {
        let updates = changes.iter().filter_map(|change| Some((change.of.delivery, change.state?)));
        let updates: Vec<(DeliveryId, RowState)> = updates.collect();
        if !updates.is_empty() {
            self.update_deliveries(client, &updates, run);
        }
        let deletes = changes.iter().filter(|change| change.state.is_none());
        let deletes: Vec<Uuid> = deletes.map(|change| uuid(change.of.delivery)).collect();
        if !deletes.is_empty() {
            self.delete_deliveries.write(client, &[deletes.into()]);
        }
    }

    /// Inserts rows. A body that several of them share is passed once. `may_be_gone`: rows of events may be gone.
    fn insert_deliveries(&self, client: &mut SpiClient<'_>, part: &Part, run: i64, may_be_gone: bool) {
        let rows = || part.moves.iter().flat_map(|step| &step.deliveries);
        let xids = part.moves.iter().flat_map(|step| step.deliveries.iter().map(move |_| Xid(step.row.xid)));
        if rows().next().is_none() {
            return;
        }
        let works: Vec<&Work> = rows().map(|(work, _)| &**work).collect();
        let DeliveryColumns { arrays: mut args, bodies } = DeliveryColumns::of(&works);
        let states = || rows().map(|(_, state)| RowColumns::of(*state));
        args.extend([
            states().map(|state| state.failed).collect::<Vec<_>>().into(),
            states().map(|state| state.attempts.unwrap_or(0)).collect::<Vec<_>>().into(),
            states().map(|state| state.scheduled_at).collect::<Vec<_>>().into(),
            states().map(|state| state.due_at).collect::<Vec<_>>().into(),
            states().map(|state| state.claimed).collect::<Vec<_>>().into(),
            bodies,
            run.into(),
            works.iter().map(|work| work.missed).collect::<Vec<_>>().into(),
            xids.collect::<Vec<_>>().into(),
            may_be_gone.into(),
        ]);
        let replaced = self.insert_deliveries.write(client, &args);
        let columns = ReplacedColumns::of(&replaced);
        for row in replaced {
            let id = DeliveryId(*row.value::<Uuid>(columns.delivery_id).as_bytes());
            warning!("{DISPATCHER}: delivery {id} was in the retry queue already; its row was replaced");
        }
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
        self.update_deliveries.write(client, &args);
    }

    fn insert_attempts(&self, client: &mut SpiClient<'_>, attempts: &[AttemptRecord]) {
        if attempts.is_empty() {
            return;
        }
        let records = || attempts.iter();
        let class = |record: &AttemptRecord| record.error.as_ref().map(|(class, _)| class.as_str().to_owned());
        let message = |record: &AttemptRecord| record.error.as_ref().map(|(_, message)| message.clone());
        let args = [
            records().map(|record| uuid(record.of.delivery)).collect::<Vec<_>>().into(),
            records().map(|record| record.of.subscription.0).collect::<Vec<_>>().into(),
            records().map(|record| record.of.event.id.0).collect::<Vec<_>>().into(),
            records().map(|record| Uuid::from_bytes(record.of.event.uuid().0)).collect::<Vec<_>>().into(),
            records().map(|record| &*record.of.event_type).collect::<Vec<_>>().into(),
            records().map(|record| record.attempt as i32).collect::<Vec<_>>().into(),
            records().map(|record| record.status.map(i32::from)).collect::<Vec<_>>().into(),
            records().map(class).collect::<Vec<_>>().into(),
            records().map(message).collect::<Vec<_>>().into(),
            records().map(|record| record.excerpt.clone()).collect::<Vec<_>>().into(),
            records().map(|record| record.response_ms).collect::<Vec<_>>().into(),
            records().map(|record| to_timestamp(record.at)).collect::<Vec<_>>().into(),
            records().map(|record| record.next_at.map(to_timestamp)).collect::<Vec<_>>().into(),
            records().map(|record| &*record.of.entity_type).collect::<Vec<_>>().into(),
            records().map(|record| record.of.entity_id.as_deref()).collect::<Vec<_>>().into(),
            records().map(|record| record.of.tenant_id.as_deref()).collect::<Vec<_>>().into(),
            records().map(|record| to_timestamp(record.of.emitted_at)).collect::<Vec<_>>().into(),
        ];
        self.insert_attempts.write(client, &args);
    }

    /// Emits `webhook.delivery_failed` for those of these deliveries that have failed.
    pub fn emit_delivery_failed(&self, failed: &[DeliveryId]) {
        let failed: Vec<Uuid> = failed.iter().copied().map(uuid).collect();
        Spi::connect_mut(|client| {
            self.emit_delivery_failed.write(client, &[failed.into()]);
        });
    }

    /// Emits `webhook.subscription_disabled` for those of these subscriptions that are disabled.
    pub fn emit_subscription_disabled(&self, disabled: &[SubscriptionId]) {
        let disabled: Vec<i64> = disabled.iter().map(|id| id.0).collect();
        Spi::connect_mut(|client| {
            self.emit_subscription_disabled.write(client, &[disabled.into()]);
        });
    }

    /// Emits `webhook.subscription_failing` for those of these subscriptions that are active and still fail.
    pub fn emit_subscription_failing(&self, failing: &[SubscriptionId]) {
        let failing: Vec<i64> = failing.iter().map(|id| id.0).collect();
        Spi::connect_mut(|client| {
            self.emit_subscription_failing.write(client, &[failing.into()]);
        });
    }

    /// Makes deliveries of these subscriptions due earlier that are due too far away, see
    /// [`is_too_far`](delivery::dispatch::Dispatch::is_too_far). Returns whether there may be more of them.
    pub fn advance_due(&self, subscriptions: &[SubscriptionId]) -> bool {
        let ids: Vec<i64> = subscriptions.iter().map(|id| id.0).collect();
        force_new_plans();
        Spi::connect_mut(|client| {
            let advanced = self.advance_due.write(client, &[ids.into(), ADVANCED_AT_ONCE.into()]).count();
            advanced as i64 >= ADVANCED_AT_ONCE
        })
    }
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
