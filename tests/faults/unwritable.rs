//! Rows that cannot be written. They do not keep the dispatcher from writing other rows.

use testkit::receiver::Answer;
use testkit::{Bench, PATIENCE, wait_for_state, wait_until};

use crate::{PATH, cluster, tickets};

#[test]
fn a_delivery_whose_body_is_too_large_for_a_row_is_recorded_as_failed_and_others_go_on() {
    let mut bench = Bench::new(cluster(), "giant");
    // Nothing listens on this port.
    bench.run("SELECT hydra.webhook_create('http://127.0.0.1:9/', '{ticket.assigned}')");
    bench.receiver.answer_first(PATH, 1, Answer::status(500));
    bench.subscribe(PATH, "ticket.created", &["retry_schedule => '{0.1 s}'"]);
    // Its JSON has six characters for each of these, more than a gigabyte.
    bench.run(
        "INSERT INTO hydra.event (event_type, entity_type, tenant_id, entity, targets)
         SELECT 'ticket.assigned', 'ticket', repeat(chr(1), 180000000), '{}', ARRAY[min(id)] FROM hydra.subscription",
    );
    bench.emit_ticket(1);
    let recorded =
        "SELECT count(*) FROM hydra.webhook_history WHERE error_class = 'internal' AND error LIKE '%(SQLSTATE XX000)%'";
    wait_until("it is recorded", 4 * PATIENCE, || bench.ask::<i64>(recorded) == 1);
    bench.wait_for_empty_queue();
    assert_eq!(bench.receiver.received(PATH), 2, "one that failed, and its retry");
}

#[test]
fn a_delivery_that_a_constraint_refuses_is_recorded_as_failed_and_others_go_on() {
    let mut bench = tickets(cluster(), "refused", &["retry_schedule => '{}'"]);
    bench.receiver.answer(PATH, Answer::status(500));
    bench.run("ALTER TABLE hydra.delivery ADD CONSTRAINT not_seven CHECK (body NOT LIKE '%\"id\":7}%')");
    bench.run("INSERT INTO ticket SELECT generate_series(1, 20)");
    bench.wait_for_count("webhook_failed", 19);
    bench.wait_for_empty_queue();
    let refused = "SELECT string_agg(attempt || ' ' || error_class || ' ' || error, ';') FROM hydra.webhook_history
                   WHERE error LIKE '%not_seven%'";
    wait_until("it is recorded", PATIENCE, || bench.ask::<Option<String>>(refused).is_some());
    assert_eq!(
        bench.ask::<String>(refused),
        "2 internal its row cannot be written (SQLSTATE 23514): new row for relation \"delivery\" violates check \
         constraint \"not_seven\""
    );
    bench.wait_for_count("webhook_history", 21);
    assert_eq!(bench.receiver.received(PATH), 20, "no request is repeated");
}

#[test]
fn a_retry_that_a_constraint_refuses_is_recorded_as_failed_and_others_go_on() {
    let mut bench = tickets(cluster(), "refused_retry", &["retry_schedule => '{0.1 s,0.1 s,0.1 s}'"]);
    bench.receiver.answer(PATH, Answer::status(500));
    bench.run(
        "ALTER TABLE hydra.delivery ADD CONSTRAINT not_seven
         CHECK (attempts < 2 OR state = 'failed' OR body NOT LIKE '%\"id\":7}%')",
    );
    bench.run("INSERT INTO ticket SELECT generate_series(1, 20)");
    bench.wait_for_count("webhook_failed", 20);
    bench.wait_for_empty_queue();
    let attempts = "SELECT count(*) FROM hydra.webhook_history WHERE error_class = 'internal'";
    wait_until("it is recorded", PATIENCE, || bench.ask::<i64>(attempts) == 1);
    assert_eq!(bench.receiver.received(PATH), 19 * 4 + 2);
}

#[test]
fn an_outcome_that_can_be_neither_written_nor_given_up_is_written_as_soon_as_it_can() {
    let mut bench = tickets(cluster(), "refused_twice", &["retry_schedule => '{0.1 s}'"]);
    bench.receiver.answer_first(PATH, 1, Answer::status(500));
    bench.run(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE check_violation; END$$;
         CREATE TRIGGER refuse BEFORE UPDATE OR DELETE ON hydra.event FOR EACH ROW WHEN (OLD.entity_id = '7') EXECUTE FUNCTION refuse();
         CREATE TRIGGER refuse BEFORE INSERT ON hydra.delivery FOR EACH ROW WHEN (NEW.entity_id = '7') EXECUTE FUNCTION refuse();
         INSERT INTO ticket VALUES (7)",
    );
    // The history is written after the outcome was refused.
    bench.wait_for_count("webhook_history", 1);
    bench.run("INSERT INTO ticket SELECT generate_series(8, 10)");
    bench.wait_for(PATH, 4);
    let left = "SELECT string_agg(entity_id, ',') FROM hydra.event";
    wait_until("the others are done", PATIENCE, || bench.ask::<String>(left) == "7");
    bench.run("DROP TRIGGER refuse ON hydra.event; DROP TRIGGER refuse ON hydra.delivery");
    bench.wait_for(PATH, 5);
    bench.wait_for_empty_queue();
    assert_eq!(bench.receiver.received(PATH), 5, "its retry");
}

#[test]
fn when_the_history_cannot_be_written_results_are_still_recorded_and_nothing_is_sent_again() {
    let mut bench = tickets(cluster(), "no_history", &["retry_schedule => '{0.2 s}'"]);
    let dispatcher = bench.cluster.dispatcher_pid(&bench.database);
    bench.receiver.answer_first(PATH, 6, Answer::status(500));
    bench.run("REVOKE INSERT ON hydra.attempt FROM hydra_worker");
    bench.run("INSERT INTO ticket SELECT generate_series(1, 6)");
    bench.wait_for_empty_queue();
    assert_eq!(bench.receiver.received(PATH), 12);
    crate::terminate(&mut bench.session(), dispatcher);
    bench.cluster.new_dispatcher_pid(&bench.database, Some(dispatcher));
    bench.run("INSERT INTO ticket VALUES (7)");
    bench.wait_for_empty_queue();
    assert_eq!(bench.receiver.received(PATH), 13, "nothing was sent again");
}

#[test]
fn when_counts_and_the_health_of_subscriptions_cannot_be_written_deliveries_go_on() {
    let mut bench = tickets(cluster(), "no_counts", &["retry_schedule => '{0.2 s}'"]);
    wait_for_state(&mut bench.client, "running");
    bench.receiver.answer_first(PATH, 6, Answer::status(500));
    bench.run("REVOKE INSERT, UPDATE ON hydra.delivery_count, hydra.subscription_health FROM hydra_worker");
    bench.run("INSERT INTO ticket SELECT generate_series(1, 6)");
    bench.wait_for_empty_queue();
    bench.run("INSERT INTO ticket SELECT generate_series(7, 300)");
    bench.wait_for_empty_queue();
    assert_eq!(bench.receiver.received(PATH), 306);
    bench.run("GRANT INSERT, UPDATE ON hydra.delivery_count, hydra.subscription_health TO hydra_worker");
    let dispatcher = bench.cluster.dispatcher_pid(&bench.database);
    crate::terminate(&mut bench.session(), dispatcher);
    bench.cluster.new_dispatcher_pid(&bench.database, Some(dispatcher));
    let counted = "SELECT coalesce(sum(delivered), 0)::bigint FROM hydra.delivery_count";
    wait_until("they are counted", PATIENCE, || bench.ask::<i64>(counted) == 300);
}

#[test]
fn rows_of_the_history_that_cannot_be_written_keep_no_others_from_being_written() {
    let mut bench = tickets(cluster(), "odd_history", &["retry_schedule => '{}'"]);
    bench.receiver.answer(PATH, Answer::status(500));
    bench.run("ALTER TABLE hydra.attempt ADD CONSTRAINT not_all CHECK (event_id % 5 <> 0)");
    bench.run("INSERT INTO ticket SELECT generate_series(1, 20)");
    bench.wait_for_count("webhook_failed", 20);
    bench.wait_for_empty_queue();
    let others: i64 = bench.ask("SELECT count(*) FROM hydra.webhook_failed WHERE event_id % 5 <> 0");
    assert!(others < 20);
    bench.wait_for_count("webhook_history", others);
    assert_eq!(bench.receiver.received(PATH), 20);
}
