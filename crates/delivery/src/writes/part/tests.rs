//! Parts: what is written in one transaction, and what happens to the rest.

use std::collections::BTreeSet;
use std::time::SystemTime;

use wire::preset::Preset;

use super::*;
use crate::stored_event::tests::key;
use crate::subscription::{DisabledReason, Failing};
use crate::writes::{Names, Verdicts};
use crate::xid::Xid8;

fn work(event: i64, subscription: i64, bytes: usize) -> Arc<Work> {
    let mut delivery = [0; 16];
    delivery[0] = event as u8;
    delivery[8..].copy_from_slice(&subscription.to_be_bytes());
    Arc::new(Work {
        delivery: DeliveryId(delivery),
        subscription: SubscriptionId(subscription),
        event: key(event),
        event_type: "ticket.created".into(),
        entity_type: "ticket".into(),
        entity_id: None,
        tenant_id: None,
        operation: None,
        hops: 0,
        emitted_at: SystemTime::UNIX_EPOCH,
        preset: Preset::Hydra,
        body: "b".repeat(bytes).into(),
        attempts: 0,
        earlier_attempts: 0,
        scheduled_at: None,
        missed: false,
    })
}

fn row(event: i64) -> EventRow {
    EventRow { xid: Xid8(7), event: key(event), place: (3, 4) }
}

/// Decisions to move an event to this many subscriptions.
fn moved(event: i64, subscriptions: i64, bytes: usize) -> Writes {
    let mut writes = Writes::default();
    writes.move_event(row(event), (1..=subscriptions).map(|id| work(event, id, bytes)));
    writes
}

/// Event, number of deliveries, and whether the row of the event is deleted.
fn steps(part: &Part) -> Vec<(i64, usize, bool)> {
    part.moves.iter().map(|step| (step.row.event.id.0, step.deliveries.len(), step.is_last)).collect()
}

#[test]
fn an_event_with_many_deliveries_moves_in_steps_and_its_row_is_deleted_with_the_last() {
    let mut writes = moved(1, 1200, 10);
    let mut seen = Vec::new();
    while !writes.is_empty() {
        let part = writes.take_part();
        seen.extend(steps(&part));
        writes.written(&part);
        assert_eq!(writes.are_unwritten(SubscriptionId(1200)), !writes.is_empty());
    }
    assert_eq!(seen, [(1, 500, false), (1, 500, false), (1, 200, true)]);
    assert_eq!(writes.bytes(), 0);
}

#[test]
fn the_row_of_an_event_that_moves_in_steps_is_found_by_key() {
    let mut writes = moved(1, 3, 10);
    let part = writes.take_part_of(2, usize::MAX);
    writes.written(&part);
    let rest = writes.take_part();
    assert_eq!((part.moves[0].row.place, rest.moves[0].row.place), ((3, 4), EventRow::UNKNOWN_PLACE));
}

#[test]
fn a_part_has_four_megabytes_of_bodies_or_a_single_larger_one() {
    let mut writes = moved(1, 20, 1 << 20);
    assert_eq!(steps(&writes.take_part()), [(1, 3, false)]);
    let mut writes = moved(1, 2, 20 << 20);
    assert_eq!(steps(&writes.take_part()), [(1, 1, false)]);
    assert_eq!(steps(&writes.take_part()), [(1, 1, true)]);
}

#[test]
fn small_events_move_together_and_in_their_order() {
    let mut writes = Writes::default();
    for event in [3, 1, 2] {
        writes.move_event(row(event), [work(event, 1, 10), work(event, 2, 10)]);
    }
    assert_eq!(steps(&writes.take_part()), [(1, 2, true), (2, 2, true), (3, 2, true)]);
}

#[test]
fn updates_and_deletes_do_not_wait_for_large_inserts() {
    let mut writes = moved(1, 1000, 10);
    let claimed = work(9, 1, 10);
    writes.update(&claimed, RowState::Released);
    let part = writes.take_part();
    assert_eq!((part.changes.len(), steps(&part)), (1, vec![(1, 500, false)]));
    assert!(writes.are_unwritten(SubscriptionId(1000)) && !writes.are_unwritten(SubscriptionId(1)));
}

#[test]
fn an_event_that_moves_and_whose_deliveries_are_done_before_that_is_only_deleted() {
    let mut writes = moved(1, 1, 10);
    writes.delete(&work(1, 1, 10));
    assert_eq!(steps(&writes.take_part()), [(1, 0, true)]);
    assert!(writes.is_empty());
}

#[test]
fn the_history_of_a_delivery_is_not_written_before_its_row() {
    let mut writes = moved(1, 3, 10);
    for id in 1..=3 {
        let of = Names::of(&work(1, id, 10));
        writes.attempts.push(AttemptRecord::given_up(of, 1, "for a test", SystemTime::UNIX_EPOCH));
    }
    let part = writes.take_part_of(2, usize::MAX);
    let recorded: Vec<i64> = part.attempts.iter().map(|record| record.of.subscription.0).collect();
    assert_eq!(recorded, [1, 2]);
    assert_eq!(writes.take_part().attempts.len(), 1);
}

fn kept(event: i64, subscription: i64, bytes: usize) -> Delivered {
    let at = SystemTime::UNIX_EPOCH;
    let work = work(event, subscription, bytes);
    Delivered { work, status: 200, excerpt: String::new(), response_ms: 1, at, kept_until: at }
}

#[test]
fn a_delivery_is_kept_before_it_is_finished_or_with_it() {
    // Three events are finished: by the row of the event, by that of the delivery, and by one that is not written yet.
    let mut writes = moved(3, 1, 10);
    writes.delete(&work(3, 1, 10));
    writes.delete(&work(2, 1, 10));
    writes.finished_events.extend([row(1), row(4)]);
    for event in 1..=3 {
        writes.keep(kept(event, 1, 1000));
    }
    let mut parts = Vec::new();
    while !writes.is_empty() {
        let part = writes.take_part_of(500, 2000);
        let finished = part.finished_events.iter().map(|row| row.event.id.0);
        let finished = finished.chain(part.changes.iter().map(|change| change.of.event.id.0));
        let finished: Vec<i64> = finished.chain(part.moves.iter().map(|step| step.row.event.id.0)).collect();
        parts.push((part.delivered.iter().map(|kept| kept.work.event.id.0).collect::<Vec<_>>(), finished));
    }
    assert_eq!(parts, [(vec![1], vec![1]), (vec![2], vec![2]), (vec![3], vec![4, 3])]);
}

#[test]
fn a_part_keeps_as_much_as_one_of_its_transactions_writes_and_the_rest_is_counted() {
    let mut writes = Writes::default();
    for event in 1..=10 {
        writes.keep(kept(event, 1, 1 << 20));
    }
    let all = writes.bytes();
    assert!(all > 10 << 20);
    let part = writes.take_part();
    assert_eq!(part.delivered.len(), 3);
    assert!(writes.bytes() > 7 << 20 && writes.bytes() < all - (3 << 20));
    writes.put_back(part);
    assert_eq!((writes.bytes(), writes.len()), (all, 10));
}

#[test]
fn what_is_put_back_is_written_later() {
    let mut writes = moved(1, 3, 2000);
    writes.update(&work(9, 1, 10), RowState::Released);
    writes.finished_events.push(row(5));
    let part = writes.take_part_of(2, usize::MAX);
    writes.put_back(part);
    assert_eq!((writes.bytes(), writes.len()), (6000, 1 + 3 + 1 + 1));
    let part = writes.take_part();
    assert_eq!((steps(&part), part.changes.len(), part.finished_events.len()), (vec![(1, 3, true)], 1, 1));
}

#[test]
fn a_part_is_halved_until_each_row_is_alone_and_an_event_is_deleted_after_its_deliveries_were_inserted() {
    let mut writes = moved(1, 5, 10);
    writes.move_event(row(2), [work(2, 1, 10), work(2, 2, 10)]);
    writes.update(&work(9, 1, 10), RowState::Released);
    writes.delete(&work(9, 2, 10));
    writes.finished_events.extend([row(5), row(6), row(7)]);
    writes.deleted.push(SubscriptionId(8));

    let mut waiting = vec![writes.take_part()];
    let (mut alone, mut inserted) = (0, BTreeSet::new());
    while let Some(mut part) = waiting.pop() {
        writes.note_rest(&mut part);
        if let Some(rest) = part.split() {
            waiting.extend([rest, part]);
            continue;
        }
        alone += 1;
        for step in &part.moves {
            inserted.extend(step.deliveries.iter().map(|(work, _)| work.delivery));
            let all = if step.row.event.id.0 == 1 { 5 } else { 7 };
            assert_eq!(step.is_last, inserted.len() == all, "{step:?}");
        }
    }
    assert_eq!((alone, inserted.len()), (7 + 2 + 3 + 1, 7));
}

#[test]
fn an_event_of_which_a_delivery_was_put_back_is_not_deleted() {
    let mut writes = moved(1, 2, 10);
    let mut first = writes.take_part();
    let mut second = first.split().expect("two deliveries");
    writes.put_back(first);
    writes.note_rest(&mut second);
    assert_eq!(steps(&second), [(1, 1, false)]);
    assert_eq!(steps(&writes.take_part()), [(1, 1, true)]);
}

#[test]
fn what_is_known_about_a_subscription_is_written_together_and_others_later() {
    let mut verdicts = Verdicts::default();
    for id in (1..=2 * ROWS as i64).map(SubscriptionId) {
        verdicts.failing.insert(id, Failing::default());
        verdicts.faults.insert(id, None);
    }
    let last = SubscriptionId(2 * ROWS as i64);
    verdicts.disabled.insert(last, DisabledReason::Gone);
    let part = verdicts.take_part();
    assert_eq!((part.failing.len(), part.faults.len(), part.disabled.len()), (ROWS, ROWS, 1));
    assert!(part.failing.contains_key(&last) && part.failing.keys().all(|id| part.faults.contains_key(id)));
    verdicts.put_back(part);
    let mut parts = 0;
    while !verdicts.is_empty() {
        verdicts.take_part();
        parts += 1;
    }
    assert_eq!(parts, 2);
}
