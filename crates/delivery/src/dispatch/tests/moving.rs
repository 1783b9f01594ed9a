//! Finishing events and moving events.

use super::*;

#[test]
fn an_event_that_all_subscriptions_received_is_deleted_and_leaves_nothing() {
    let mut dispatch = dispatch([subscription(1), subscription(2)]);
    dispatch.accept(&[1, 2], [1]);
    assert_eq!(dispatch.send(99), [(1, 1), (1, 2)]);
    dispatch.conclude(1, 1, status(200));
    assert!(dispatch.writes.is_empty(), "the other delivery is still in flight");
    dispatch.conclude(1, 2, status(299));
    assert_eq!(dispatch.finished(), [1]);
    assert!(dispatch.has_no_rows() && dispatch.writes.attempts.is_empty());
    assert_eq!((dispatch.queued(), dispatch.in_flight()), (0, 0));
}

#[test]
fn when_one_delivery_of_an_event_fails_all_its_unfinished_deliveries_get_rows() {
    let mut dispatch = dispatch([subscription(1), subscription(2), subscription(3), one_at_a_time(4)]);
    dispatch.accept(&[4], [1]);
    dispatch.accept(&[1, 2, 3, 4], [2]);
    assert_eq!(dispatch.send(99).len(), 4, "4 has one request at a time and is busy");
    dispatch.conclude(2, 1, status(204));
    dispatch.conclude(2, 2, timeout());

    assert_eq!(dispatch.finished(), [2]);
    assert_eq!(dispatch.row(2, 1), None, "it was delivered");
    assert_eq!(dispatch.row(2, 2), Some(Row::Insert(due(1, 10))));
    assert_eq!(dispatch.row(2, 3), Some(Row::Insert(RowState::Claimed)), "in flight");
    assert_eq!(dispatch.row(2, 4), Some(Row::Insert(RowState::Claimed)), "in memory, to be sent by us");
    assert_eq!(dispatch.row(1, 4), None, "another event");
}

#[test]
fn a_delivery_in_flight_when_its_event_moves_ends_without_a_row() {
    let mut dispatch = dispatch([subscription(1), subscription(2), subscription(3)]);
    dispatch.accept(&[1, 2, 3], [1]);
    dispatch.send(99);
    dispatch.conclude(1, 1, status(500));
    // Before the move is written there is no row to delete. Afterwards there is one.
    dispatch.conclude(1, 2, status(200));
    assert_eq!(dispatch.row(1, 2), None);
    dispatch.write_all(time(0));
    dispatch.conclude(1, 3, status(200));
    assert_eq!(dispatch.row(1, 3), Some(Row::Delete));
    assert!(dispatch.finished().is_empty(), "it is deleted once");
}

#[test]
fn decisions_about_one_delivery_fold_into_one_write() {
    let mut dispatch = dispatch([subscription(1)]);
    dispatch.accept_row(claimed(1, 1, 1));
    dispatch.send(99);
    dispatch.conclude(1, 1, status(500));
    assert_eq!(dispatch.row(1, 1), Some(Row::Update(due(2, 20))));
    // The update has not been written, so the next outcome replaces it.
    dispatch.accept_row(claimed(1, 1, 2));
    dispatch.send(99);
    dispatch.conclude(1, 1, status(200));
    assert_eq!(dispatch.row(1, 1), Some(Row::Delete));
    assert_eq!(dispatch.writes.changes.len(), 1);
    assert_eq!(dispatch.writes.attempts.len(), 2, "the history has both");
    dispatch.write_all(time(0));
    assert!(dispatch.writes.is_empty());
}

#[test]
fn an_event_unfinished_for_two_seconds_moves() {
    let mut dispatch = dispatch([subscription(1)]);
    let start = Instant::now();
    for (id, after) in [(1, 0), (2, 500), (3, 1000)] {
        dispatch.accept_event(&wanted_by(&[1], id), start + Duration::from_millis(after));
    }
    dispatch.send(99);
    dispatch.conclude(1, 1, status(200));
    dispatch.write_all(time(0));
    let moment = start + seconds(2) + Duration::from_millis(600);
    dispatch.move_stragglers(moment);
    assert_eq!(dispatch.finished(), [2], "1 was delivered and 3 is young");
    assert_eq!(dispatch.row(2, 1), Some(Row::Insert(RowState::Claimed)));
    assert_eq!(dispatch.next_change(), Some(start + seconds(2) + seconds(1)));
}

#[test]
fn deliveries_that_wait_two_seconds_for_a_slow_endpoint_go_to_the_table_and_new_ones_go_behind_them() {
    let mut dispatch = dispatch([one_at_a_time(1), subscription(2)]);
    let start = Instant::now();
    dispatch.accept_event(&wanted_by(&[1], 1), start);
    dispatch.accept_event(&wanted_by(&[1, 2], 2), start);
    dispatch.accept_event(&wanted_by(&[1], 3), start + seconds(1));
    dispatch.send(99);
    dispatch.move_stragglers(start + seconds(2));
    assert_eq!(dispatch.row(1, 1), Some(Row::Insert(RowState::Claimed)), "in flight");
    assert_eq!(dispatch.row(2, 1), Some(Row::Insert(RowState::Released)));
    assert_eq!(dispatch.row(2, 2), Some(Row::Insert(RowState::Claimed)), "in flight to another endpoint");
    assert_eq!(dispatch.row(3, 1), Some(Row::Insert(RowState::Released)), "young, and behind");
    dispatch.accept(&[1], [4]);
    assert_eq!(dispatch.row(4, 1), Some(Row::Insert(RowState::Released)), "new, and behind");
    dispatch.conclude(1, 1, status(200));
    assert!(dispatch.send(99).is_empty());
}

#[test]
fn an_event_that_some_subscriptions_received_is_not_left_for_the_next_dispatcher_to_send_again() {
    let mut dispatch = dispatch([subscription(1), subscription(2)]);
    dispatch.accept(&[1, 2], [1]);
    dispatch.accept(&[1, 2], [2]);
    dispatch.send(99);
    dispatch.conclude(1, 1, status(200));
    dispatch.move_half_delivered();
    assert_eq!(dispatch.finished(), [1]);
    assert_eq!(dispatch.row(1, 2), Some(Row::Insert(RowState::Claimed)));
    assert_eq!(dispatch.row(2, 2), None);
}

#[test]
fn events_with_the_same_number_do_not_replace_each_other() {
    let mut dispatch = dispatch([subscription(1)]);
    let first = wanted_by(&[1], 1);
    let mut second = first.clone();
    second.row.xid = Xid8(xid_of(2));
    second.row.event.random = 99;
    for event in [&first, &second] {
        dispatch.accept_event(event, Instant::now());
    }
    let requests = dispatch.hand_out(9, Instant::now());
    let ids: Vec<DeliveryId> = requests.iter().map(|request| request.delivery).collect();
    assert_eq!(ids.len(), 2);
    for (id, outcome) in ids.into_iter().zip([status(200), timeout()]) {
        let attempt = Attempt { delivery: id, ..attempt(1, 1, outcome, time(0), seconds(1)) };
        dispatch.settle(attempt, time(0), instant(0), 0.0);
    }
    let part = dispatch.writes.take_part();
    assert_eq!(part.finished_events, [first.row]);
    assert_eq!(part.moves.iter().map(|step| (step.row, step.deliveries.len())).collect::<Vec<_>>(), [(second.row, 1)]);
}
