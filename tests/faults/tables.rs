//! Tables that are truncated, rewritten and vacuumed.

use std::thread;
use std::time::Duration;

use postgres::Client;
use testkit::receiver::Answer;
use testkit::{Bench, PATIENCE, ask, rounds, run, wait_for_empty_queue, wait_until};

use crate::{PATH, assert_no_crash, assert_quick, cluster, insert, seconds, settle, tickets, under_load};

#[test]
fn truncated_events_are_not_sent_and_later_ones_are() {
    let cluster = cluster();
    let bench = tickets(cluster, "truncated", &["retry_schedule => '{5 s}'"]);
    let mut client = bench.session();
    for _ in 0..rounds(1) {
        bench.receiver.clear();
        bench.receiver.answer(PATH, Answer::status(500));
        run(&mut client, &insert(1, 5));
        bench.wait_for(PATH, 5);
        wait_until("all wait for their retry", PATIENCE, || {
            ask(&mut client, "SELECT count(*) = 5 FROM hydra.webhook_history")
        });
        assert_quick("TRUNCATE", seconds(5), || {
            run(&mut client, "TRUNCATE hydra.event, hydra.delivery, hydra.attempt, ticket");
        });
        bench.receiver.answer(PATH, Answer::ok());
        // Longer than the delay of the retries, which may be a tenth more.
        thread::sleep(seconds(6));
        assert_eq!(bench.receiver.received(PATH), 5, "there is nothing to retry");

        bench.receiver.clear();
        run(&mut client, &insert(6, 10));
        assert_eq!(settle(&bench), 0);
        run(&mut client, "TRUNCATE ticket");
    }
    assert_no_crash(cluster);
}

#[test]
fn rewriting_the_tables_under_load_loses_nothing() {
    let cluster = cluster();
    let rounds = rounds(3) as usize;
    let bench = tickets(cluster, "rewritten", &["retry_schedule => '{0.5 s,0.5 s,0.5 s,0.5 s,0.5 s}'"]);
    let mut client = bench.session();
    under_load(&bench, "", || {
        for round in 1..=rounds {
            bench.receiver.answer_first(PATH, 20, Answer::status(500));
            bench.wait_for(PATH, round * 200);
            for table in ["event", "delivery", "attempt", "subscription"] {
                let rewrite = format!("VACUUM FULL hydra.{table}");
                assert_quick(&rewrite, seconds(20), || run(&mut client, &rewrite));
            }
            run(&mut client, "REINDEX SCHEMA hydra");
        }
    });
    assert_eq!(settle(&bench), 20 * rounds, "only the failures are tried again");
    let failures: i64 = ask(&mut client, "SELECT count(*) FROM hydra.webhook_history WHERE status_code = 500");
    assert_eq!(failures as usize, 20 * rounds);
}

/// Lets somebody wait for the lock of a table of the extension, and meanwhile replaces its rows by copies that snapshots of
/// before do not see, as pg_repack does.
fn rewrite_while_somebody_waits(bench: &Bench, table: &str, begin_to_wait: impl FnOnce()) {
    let (mut owner, mut observer) = (bench.session(), bench.session());
    run(&mut owner, &format!("BEGIN; LOCK TABLE hydra.{table}"));
    begin_to_wait();
    let waits =
        format!("SELECT EXISTS (SELECT FROM pg_locks WHERE relation = 'hydra.{table}'::regclass AND NOT granted)");
    wait_until("somebody waits", PATIENCE, || ask(&mut observer, &waits));
    run(&mut owner, &format!("ALTER TABLE hydra.{table} ADD mine double precision DEFAULT random(); COMMIT"));
}

#[test]
fn an_event_is_found_although_its_table_was_rewritten_when_it_was_to_be_read() {
    let mut bench = tickets(cluster(), "rewritten_event", &[]);
    bench.run("SELECT hydra.webhook_park()");
    bench.run(&insert(1, 1));
    let mut other = bench.session();
    rewrite_while_somebody_waits(&bench, "event", || run(&mut other, "SELECT hydra.webhook_unpark()"));
    bench.wait_for(PATH, 1);
    bench.wait_for_empty_queue();
}

#[test]
fn no_subscription_is_taken_for_deleted_because_its_table_was_rewritten_when_it_was_to_be_read() {
    let mut bench = tickets(cluster(), "rewritten_subs", &["max_in_flight => 1"]);
    bench.receiver.answer(PATH, Answer::ok().after(seconds(1)));
    bench.run(&insert(1, 5));
    bench.wait_for(PATH, 1);
    let mut other = bench.session();
    rewrite_while_somebody_waits(&bench, "subscription", || run(&mut other, "SELECT pg_reload_conf()"));
    bench.wait_for(PATH, 5);
    bench.wait_for_empty_queue();
}

#[test]
fn an_event_is_emitted_although_subscriptions_were_rewritten_when_they_were_to_be_read() {
    let bench = tickets(cluster(), "rewritten_emit", &[]);
    let mut emitter = bench.session();
    let (send, receive) = std::sync::mpsc::channel();
    rewrite_while_somebody_waits(&bench, "subscription", || {
        thread::spawn(move || {
            send.send(ask::<Option<i64>>(&mut emitter, "SELECT hydra.webhook_emit('ticket.created', '{}')"))
        });
    });
    assert!(receive.recv_timeout(PATIENCE).expect("the emit ends").is_some(), "nobody wanted the event");
    bench.wait_for(PATH, 1);
}

#[test]
fn an_event_whose_row_moved_while_it_was_sent_is_removed_and_the_row_at_its_former_place_is_not() {
    let bench = tickets(cluster(), "moved", &["max_in_flight => 4"]);
    let mut client = bench.session();
    // An answer that takes longer than two seconds would move the event itself. A busy machine may need another try.
    let left = (0..20).find_map(|number| left_after_the_second(&bench, &mut client, 3 * number + 1));
    assert_eq!(left.expect("it is done in time once"), "3");
    settle(&bench);
}

/// Moves the row of the second of three events while it is sent, puts that of the third where it was, and returns which of both is
/// left when the second is done. `None` if it was done too early, or the third as well.
fn left_after_the_second(bench: &Bench, client: &mut Client, first: usize) -> Option<String> {
    let place = "SELECT (SELECT ctid::text || ' of ' || count(*) OVER () FROM hydra.event ORDER BY id DESC LIMIT 1)";
    wait_for_empty_queue(client);
    run(client, "TRUNCATE ticket");
    bench.receiver.clear();
    // Its row is dead after the delivery, which leaves room in front of the next row.
    run(client, &insert(first, first));
    settle(bench);
    bench.receiver.answer(PATH, Answer::ok().after(seconds(1)));
    run(client, &insert(first + 1, first + 1));
    let before: String = ask::<Option<String>>(client, place)?;
    bench.wait_for(PATH, 2);
    // VACUUM FULL would keep dead rows while a transaction of another test, in any database, is older than they are.
    run(
        client,
        "ALTER TABLE hydra.event ADD mine double precision DEFAULT random(); ALTER TABLE hydra.event DROP mine",
    );
    if ask::<Option<String>>(client, place)? == before {
        return None;
    }
    bench.receiver.answer(PATH, Answer::ok().after(Duration::from_millis(1500)));
    run(client, &insert(first + 2, first + 2));
    if ask::<Option<String>>(client, place)? != before.replace("of 1", "of 2") {
        return None;
    }
    let left = format!(
        "SELECT string_agg(((entity::jsonb ->> 'id')::bigint - {first} + 1)::text, ' ' ORDER BY id) FROM hydra.event"
    );
    let mut seen = None;
    wait_until("the second is done", PATIENCE, || {
        seen = ask(client, &left);
        seen.as_deref() != Some("2 3")
    });
    seen
}
