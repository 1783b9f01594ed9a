//! How much is kept in memory, and when more is read.

use super::*;

#[test]
fn deliveries_that_do_not_fit_into_memory_wait_in_the_table_and_later_ones_go_behind_them() {
    let mut dispatch = dispatch([one_at_a_time(1), subscription(2)]);
    dispatch.accept(&[1], 1..=LANE);
    assert!(dispatch.writes.is_empty());
    dispatch.accept(&[1, 2], [LANE + 1]);
    assert_eq!(dispatch.finished(), [LANE + 1]);
    assert_eq!(dispatch.row(LANE + 1, 1), Some(Row::Insert(RowState::Released)));
    assert_eq!(dispatch.row(LANE + 1, 2), Some(Row::Insert(RowState::Claimed)), "2 has room");

    // There is room again, but the new delivery still goes behind the rows in the table.
    assert_eq!(dispatch.send(1), [(1, 1)]);
    dispatch.accept(&[1], [LANE + 2]);
    assert_eq!(dispatch.row(LANE + 2, 1), Some(Row::Insert(RowState::Released)));

    // This ends when the table has no due rows.
    dispatch.write_all(time(0));
    dispatch.set_next_due(SubscriptionId(1), Some(time(0)), time(1));
    dispatch.accept(&[1], [LANE + 3]);
    assert_eq!(dispatch.row(LANE + 3, 1), Some(Row::Insert(RowState::Released)));
    dispatch.write_all(time(0));
    dispatch.set_next_due(SubscriptionId(1), None, time(1));
    dispatch.conclude(1, 1, status(200));
    assert_eq!(dispatch.send(2), [(LANE + 1, 2), (2, 1)]);
    dispatch.write_all(time(0));
    dispatch.accept(&[1], [LANE + 4]);
    assert_eq!(dispatch.row(LANE + 4, 1), None);
}

#[test]
fn a_crowded_lane_stops_reading_for_a_moment_and_then_overflows() {
    let mut dispatch = dispatch([subscription(1), subscription(2)]);
    let start = Instant::now();
    (1..CROWD).for_each(|id| dispatch.accept_event(&wanted_by(&[1], id), start));
    assert!(dispatch.has_room(start));
    dispatch.accept_event(&wanted_by(&[1], CROWD), start);
    assert!(!dispatch.has_room(start));
    assert!(!dispatch.has_room(start + CROWDED_FOR - Duration::from_millis(1)));
    assert_eq!(dispatch.next_change(), Some(start + CROWDED_FOR));

    assert!(dispatch.has_room(start + CROWDED_FOR));
    dispatch.accept_event(&wanted_by(&[1, 2], CROWD + 1), start + CROWDED_FOR);
    assert_eq!(dispatch.row(CROWD + 1, 1), Some(Row::Insert(RowState::Released)));
    assert_eq!(dispatch.row(CROWD + 1, 2), Some(Row::Insert(RowState::Claimed)));
    assert!(dispatch.send(99).contains(&(CROWD + 1, 2)), "the other one goes on");
}

#[test]
fn a_crowded_lane_that_drains_in_time_does_not_overflow() {
    let mut dispatch = dispatch([subscription(1)]);
    let start = Instant::now();
    (1..=CROWD).for_each(|id| dispatch.accept_event(&wanted_by(&[1], id), start));
    assert!(!dispatch.has_room(start));
    dispatch.send(1);
    assert!(dispatch.has_room(start));
    dispatch.accept_event(&wanted_by(&[1], CROWD + 1), start + CROWDED_FOR);
    assert!(dispatch.writes.is_empty());
}

#[test]
fn a_crowded_lane_that_sends_much_in_that_moment_is_waited_for_and_does_not_overflow() {
    let mut dispatch = dispatch([Subscription { max_in_flight: 500, ..subscription(1) }, subscription(2)]);
    let start = Instant::now();
    (1..=LANE - 1).for_each(|id| dispatch.accept_event(&wanted_by(&[1], id), start));
    assert_eq!(dispatch.send(1000).len(), 500);
    assert!(!dispatch.has_room(start + CROWDED_FOR));
    dispatch.accept_event(&wanted_by(&[1], LANE), start + CROWDED_FOR);
    assert!(dispatch.writes.is_empty());

    // The lane sends nothing more during the next period.
    assert!(dispatch.has_room(start + 2 * CROWDED_FOR));
    dispatch.accept_event(&wanted_by(&[1], LANE + 1), start + 2 * CROWDED_FOR);
    assert_eq!(dispatch.row(LANE + 1, 1), Some(Row::Insert(RowState::Released)));
}

#[test]
fn a_crowded_lane_is_waited_for_while_no_other_active_lane_is_left() {
    let mut dispatch = dispatch([subscription(1), Subscription { active: false, ..subscription(2) }]);
    let start = Instant::now();
    (1..=CROWD).for_each(|id| dispatch.accept_event(&wanted_by(&[1], id), start));
    assert!(!dispatch.has_room(start));
    assert!(!dispatch.has_room(start + CROWDED_FOR), "it has sent nothing, but delays nobody");
    assert_eq!(dispatch.next_change(), Some(start + 2 * CROWDED_FOR));

    dispatch.change_subscriptions(&[SubscriptionId(2)], vec![subscription(2)], start);
    assert!(dispatch.has_room(start + 2 * CROWDED_FOR), "now it may delay another");
}

#[test]
fn while_a_flood_crowds_its_lane_there_is_room_for_other_lanes_until_one_of_them_is_crowded() {
    let mut dispatch = dispatch([subscription(1), subscription(2)]);
    let start = Instant::now();
    (1..=CROWD).for_each(|id| dispatch.accept_event(&wanted_by(&[1], id), start));
    assert!(!dispatch.has_room(start) && dispatch.has_room_beside(|id| id == SubscriptionId(1)));
    (CROWD + 1..=2 * CROWD).for_each(|id| dispatch.accept_event(&wanted_by(&[2], id), start));
    assert!(!dispatch.has_room_beside(|id| id == SubscriptionId(1)));
}

#[test]
fn during_a_flood_nothing_is_read_that_could_make_its_lane_overflow() {
    let mut dispatch = dispatch([subscription(1), subscription(2)]);
    let start = Instant::now();
    let mut ids = 1..;
    while dispatch.has_room_beside(|id| id == SubscriptionId(1)) {
        // A page of events for both subscriptions.
        ids.by_ref().take(CROWD as usize / 4).for_each(|id| dispatch.accept_event(&wanted_by(&[1, 2], id), start));
        dispatch.send(99);
    }
    assert!(dispatch.writes.is_empty());
}

#[test]
fn reading_stops_when_enough_deliveries_or_bytes_are_in_memory() {
    let everybody: Vec<i64> = (1..=20).collect();
    let mut many = dispatch(everybody.iter().copied().map(subscription));
    many.accept(&everybody, 1..=199);
    assert!(many.has_room(Instant::now()));
    many.accept(&everybody, [200]);
    assert!(!many.has_room(Instant::now()));

    let mut large = dispatch([subscription(1)]);
    let entity = "x".repeat(16 << 20);
    large.accept_event(&with_entity(wanted_by(&[1], 1), entity.clone()), Instant::now());
    assert!(large.has_room(Instant::now()));
    large.accept_event(&with_entity(wanted_by(&[1], 2), entity), Instant::now());
    assert!(!large.has_room(Instant::now()));
    large.send(1);
    assert!(large.has_room(Instant::now()));
}

#[test]
fn a_body_that_many_deliveries_share_counts_once() {
    let everybody: Vec<i64> = (1..=20).collect();
    let mut dispatch = dispatch(everybody.iter().copied().map(subscription));
    let large = |id| with_entity(wanted_by(&everybody, id), "x".repeat(1 << 20));
    let start = Instant::now();
    (1..=31).for_each(|id| dispatch.accept_event(&large(id), start));
    assert!(dispatch.has_room(start), "31 MB, of 620 deliveries");
    dispatch.accept_event(&large(32), start);
    assert!(!dispatch.has_room(start));
}

#[test]
fn slow_endpoints_that_fill_the_memory_stop_reading_for_a_moment_and_then_their_deliveries_wait_in_the_table() {
    let slow: Vec<i64> = (1..=20).collect();
    let mut dispatch = dispatch((1..=21).map(subscription));
    let start = Instant::now();
    (1..=250).for_each(|id| dispatch.accept_event(&wanted_by(&slow, id), start));
    dispatch.accept_event(&wanted_by(&[21], 251), start);
    assert!(!dispatch.has_room(start));
    assert_eq!(dispatch.next_change(), Some(start + CROWDED_FOR));
    dispatch.send(256);
    assert!(dispatch.has_room(start + CROWDED_FOR));
    assert_eq!(dispatch.row(250, 20), Some(Row::Insert(RowState::Released)));
    assert_eq!(dispatch.row(251, 21), None, "an endpoint that had little to send keeps it");
}

#[test]
fn reading_stops_while_too_many_bytes_are_to_be_written() {
    let mut dispatch = dispatch([paused(1), subscription(2)]);
    let start = Instant::now();
    let large = |id| with_entity(wanted_by(&[1], id), "x".repeat(8 << 20));
    (1..=7).for_each(|id| dispatch.accept_event(&large(id), start));
    assert!(dispatch.has_room(start));
    dispatch.accept_event(&large(8), start);
    assert!(!dispatch.has_room(start));
    dispatch.write_all(time(0));
    assert!(dispatch.has_room(start));
}

#[test]
fn a_lane_of_large_deliveries_claims_few() {
    let mut dispatch = dispatch((1..=100).map(subscription));
    for id in 1..=100 {
        dispatch.set_next_due(SubscriptionId(id), Some(time(0)), time(0));
    }
    let rows = |dispatch: &Dispatch| dispatch.to_claim(time(0)).iter().map(|(_, rows)| *rows).sum::<i32>();
    assert_eq!(rows(&dispatch), 13 * 20, "thirteen lanes, while nothing is known of their size");
    let large = |event, id| Work { body: "x".repeat(250_000).into(), ..claimed(event, id, 1) };
    for id in 1..=100 {
        dispatch.accept_row(large(1, id));
    }
    assert_eq!(rows(&dispatch), 0, "25 MB are queued");
    dispatch.send(100);
    assert!(rows(&dispatch) <= 5 * 33, "16 MB");
}

#[test]
fn when_many_endpoints_fill_the_memory_those_that_wait_for_a_thread_keep_their_deliveries() {
    let everybody: Vec<i64> = (1..=4001).collect();
    let mut dispatch = dispatch(everybody.iter().copied().map(subscription));
    let start = Instant::now();
    dispatch.accept_event(&wanted_by(&everybody[..4000], 1), start);
    dispatch.accept_event(&wanted_by(&[4001], 2), start);
    assert!(!dispatch.has_room(start));
    assert!(!dispatch.has_room(start + CROWDED_FOR));
    assert!(dispatch.writes.is_empty());
}
