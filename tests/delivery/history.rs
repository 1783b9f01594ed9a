//! What is recorded of deliveries and attempts, and for how long.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use testkit::receiver::{Answer, Request, Signature};
use testkit::{Attempt, PATIENCE, millis, wait_until};

use crate::{LATE, assert_within, bench};

#[test]
fn a_first_attempt_that_succeeds_leaves_nothing_behind() {
    let mut bench = bench("first_success");
    bench.subscribe("/", "ticket.created", &[]);
    bench.receiver.answer("/", Answer::status(204));
    let event = bench.emit_ticket(1);
    assert!(event.is_some());
    bench.wait_for_empty_queue();
    assert_eq!(bench.wait_for("/", 1).len(), 1);
    assert_eq!(bench.count("webhook_pending"), 0);
    assert_eq!(bench.count("webhook_failed"), 0);
    assert!(bench.history().is_empty());
}

#[test]
fn with_log_successes_a_first_attempt_that_succeeds_leaves_one_row() {
    let mut bench = bench("logged_success");
    let (id, _) = bench.subscribe("/", "ticket.created", &["log_successes => true"]);
    bench.receiver.answer("/", Answer::status(201).with_body("stored"));
    let event = bench.emit_ticket(1);
    let attempts = bench.wait_for_history(1);
    let request = &bench.wait_for("/", 1)[0];
    assert_eq!((attempts[0].subscription, Some(attempts[0].event_id), attempts[0].attempt), (id, event, 1));
    assert_eq!(attempts[0].delivery, request.delivery_id());
    assert_eq!((attempts[0].status, attempts[0].excerpt.as_deref()), (Some(201), Some("stored")));
    assert_eq!((&attempts[0].class, &attempts[0].error, attempts[0].next_at), (&None, &None, None));
    assert_eq!(bench.count("webhook_pending"), 0);
}

#[test]
fn a_failing_endpoint_gets_six_attempts_on_schedule_and_the_history_has_each() {
    const DELAYS: [u64; 5] = [300, 600, 900, 400, 1200];
    let mut bench = bench("six_attempts");
    let schedule = DELAYS.map(|delay| format!("{delay} ms")).join(",");
    let (id, _) = bench.subscribe("/", "ticket.created", &[&format!("retry_schedule => '{{{schedule}}}'")]);
    bench.receiver.answer("/", Answer::status(500).with_body("no, <&> \u{e9}").after(millis(50)));
    let event = bench.emit_ticket(1).expect("it is wanted");

    let requests = bench.wait_for("/", 6);
    let attempts = bench.wait_for_history(6);
    for (place, (request, attempt)) in requests.iter().zip(&attempts).enumerate() {
        assert_eq!(request.signature, Signature::Verified, "attempt {place}");
        assert_eq!(attempt.attempt as usize, place + 1);
        assert_eq!(attempt.delivery, request.delivery_id());
        assert_eq!((attempt.subscription, attempt.event_id, attempt.event.as_str()), (id, event, "ticket.created"));
        assert_eq!((attempt.status, attempt.class.as_deref()), (Some(500), Some("status")));
        assert!(attempt.error.as_ref().is_some_and(|error| error.contains("500")), "{:?}", attempt.error);
        assert_eq!(attempt.excerpt.as_deref(), Some("no, <&> \u{e9}"));

        // The receiver answers after 50 ms. Both sides read the same clock.
        let took = millis(attempt.ms.expect("a duration") as u64);
        assert_within("response_ms", took, millis(49), millis(50) + LATE);
        let until_arrival = request.time.duration_since(attempt.at).expect("it started before it arrived");
        assert_within("attempted_at", until_arrival, Duration::ZERO, LATE);
        assert!(signed_at(request).abs_diff(unix_seconds(attempt.at)) <= 1);

        let planned = DELAYS.get(place).map(|delay| millis(*delay));
        assert_eq!(attempt.next_at.is_some(), planned.is_some(), "attempt {place}");
        if let (Some(planned), Some(next_at)) = (planned, attempt.next_at) {
            let delay = next_at.duration_since(attempt.at + took).expect("the next attempt is later");
            // The delay counts from when the dispatcher learns of the failure, and response_ms is truncated.
            assert_within("delay", delay, planned.mul_f64(0.9), planned.mul_f64(1.1) + LATE);
            let late = requests[place + 1].time.duration_since(next_at).expect("never early");
            assert_within("lateness", late, Duration::ZERO, LATE);
        }
    }
    assert!(requests.iter().all(|request| request.body == requests[0].body), "every attempt has the same bytes");
    let times: BTreeSet<u64> = requests.iter().map(|request| signed_at(request)).collect();
    assert!(times.len() >= 3, "each attempt is signed with its own time: {times:?}");

    assert_eq!(bench.wait_for_failed_delivery(), requests[0].delivery_id());
    assert_eq!(bench.count("webhook_pending"), 0);
    let body: String = bench.ask("SELECT body FROM hydra.webhook_failed");
    assert_eq!(body, requests[0].text());
    assert_eq!(bench.receiver.received("/"), 6);
}

fn unix_seconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).expect("the clock is after 1970").as_secs()
}

/// The `t` of a signature, in seconds.
fn signed_at(request: &Request) -> u64 {
    let header = request.header("X-Hydra-Signature").expect("it is signed");
    let time = header.split(',').find_map(|part| part.strip_prefix("t="));
    time.and_then(|time| time.parse().ok()).expect("the signature has a time")
}

#[test]
fn jitter_spreads_retries_over_a_tenth_of_the_delay_to_either_side() {
    let mut bench = bench("jitter");
    bench.subscribe("/", "ticket.created", &["retry_schedule => '{1000 s}'"]);
    bench.receiver.answer("/", Answer::status(500));
    bench.emit_tickets(1..=40);
    let attempts = bench.wait_for_history(40);
    let delays =
        attempts.iter().map(|attempt| attempt.next_at.unwrap().duration_since(attempt.at).unwrap().as_secs_f64());
    let delays: Vec<f64> = delays.collect();
    assert!(delays.iter().all(|delay| (899.0..1110.0).contains(delay)), "{delays:?}");
    let early = delays.iter().filter(|delay| **delay < 980.0).count();
    let late = delays.iter().filter(|delay| **delay > 1020.0).count();
    // That none of forty is on one side happens once in more than a hundred thousand runs.
    assert!(early > 0 && late > 0, "{delays:?}");
}

#[test]
fn a_retry_that_succeeds_leaves_a_row_and_nothing_pending() {
    let mut bench = bench("flaky");
    bench.subscribe("/", "ticket.created", &["retry_schedule => '{0.1 s,0.1 s,0.1 s}'"]);
    bench.receiver.answer_first("/", 2, Answer::status(502));
    bench.emit_ticket(1);
    let attempts = bench.wait_for_history(3);
    bench.wait_for_empty_queue();
    let statuses: Vec<_> =
        attempts.iter().map(|attempt| (attempt.attempt, attempt.status, attempt.class.as_deref())).collect();
    assert_eq!(
        statuses,
        [(1, Some(502), Some("status")), (2, Some(502), Some("status")), (3, Some(200), None)],
        "{attempts:#?}"
    );
    assert_eq!((&attempts[2].error, attempts[2].next_at), (&None, None));
    assert_eq!(bench.count("webhook_pending") + bench.count("webhook_failed"), 0);
    assert_eq!(bench.receiver.received("/"), 3);
}

#[test]
fn a_delivery_whose_attempt_fails_after_twice_the_sum_of_its_schedule_is_given_up_as_expired() {
    const EVENTS: i64 = 20;
    let mut bench = bench("expired");
    // All time out at the same time. Their retries go one at a time, and most come too late.
    bench.subscribe("/", "ticket.created", &["timeout => '500 ms'", "retry_schedule => '{0.4 s,0.4 s}'"]);
    bench.receiver.answer("/", Answer::hang());
    bench.emit_tickets(1..=EVENTS as usize);
    bench.wait_for_count("webhook_failed", EVENTS);
    let attempts = bench.history();
    let expired: Vec<&Attempt> =
        attempts.iter().filter(|attempt| attempt.class.as_deref() == Some("expired")).collect();
    assert!(expired.len() >= 6, "{attempts:#?}");
    assert!(expired.iter().all(|attempt| attempt.attempt == 2 && attempt.ms.is_some() && attempt.next_at.is_none()));
    assert!(expired.iter().all(|attempt| attempt.error.as_ref().is_some_and(|error| error.starts_with("time limit"))));
    let of_view: i64 =
        bench.ask("SELECT count(*) FROM hydra.webhook_failed WHERE error_class = 'expired' AND error <> ''");
    assert_eq!(of_view as usize, expired.len());
    assert_eq!(bench.receiver.received("/"), attempts.len(), "every attempt in the history was made");
    for expired in expired {
        let first = attempts.iter().find(|attempt| attempt.delivery == expired.delivery && attempt.attempt == 1);
        let lived = expired.at.duration_since(first.expect("it was tried").at).expect("it began before it ended");
        assert!(lived >= millis(1600), "{lived:?}");
    }
}

#[test]
fn history_and_failed_deliveries_are_removed_when_they_are_older_than_the_retention() {
    let mut bench = bench("retention");
    bench.receiver.answer("/", Answer::status(500));
    bench.subscribe("/", "ticket.created", &["retry_schedule => '{}'"]);
    for id in 1..=2 {
        bench.emit_ticket(id);
    }
    bench.wait_for_count("webhook_failed", 2);
    bench.run("UPDATE hydra.attempt SET attempted_at = attempted_at - interval '31 days'
         WHERE event_id = (SELECT min(event_id) FROM hydra.attempt);
         UPDATE hydra.delivery SET failed_at = failed_at - interval '31 days'
         WHERE event_id = (SELECT min(event_id) FROM hydra.delivery);
         INSERT INTO hydra.attempt (delivery_id, event_uuid, subscription_id, event_id, event_type, entity_type, emitted_at, attempt, status_code, attempted_at)
         SELECT gen_random_uuid(), gen_random_uuid(), 0, 0, 'ticket.created', 'ticket', now(), 1, 200, now() - interval '1 year' FROM generate_series(1, 12000);
         INSERT INTO hydra.kept_event (event_type, source, entity_type, operation, part, sqlstate, reason, entity, emitted_at)
         SELECT 'ticket.created', 'ticket', 'ticket', 'insert', 'condition', '42703', 'x', '{}', now() - interval '31 days' * n FROM generate_series(0, 1) AS n",
    );
    // After a reload the dispatcher checks at once.
    bench.run("SELECT pg_reload_conf()");
    const LEFT: &str =
        "SELECT (SELECT count(*) FROM hydra.webhook_failed) = 1 AND (SELECT count(*) FROM hydra.webhook_history) = 1
                AND (SELECT count(*) FROM hydra.webhook_kept) = 1";
    wait_until("the old rows are removed, and no others", PATIENCE, || bench.ask(LEFT));
}

#[test]
fn history_that_cannot_be_removed_keeps_no_other_old_rows() {
    let mut bench = bench("unremovable");
    bench.receiver.answer("/", Answer::status(500));
    let (id, _) = bench.subscribe("/", "ticket.created", &["retry_schedule => '{}'"]);
    bench.emit_ticket(1);
    bench.wait_for_count("webhook_failed", 1);
    bench.wait_for_count("webhook_history", 1);
    bench.run(&format!(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE 'not this'; END$$;
         CREATE TRIGGER refuse BEFORE DELETE ON hydra.attempt FOR EACH ROW EXECUTE FUNCTION refuse();
         SELECT hydra.webhook_rotate_secret({id}, '1 day');
         UPDATE hydra.signing_secret SET valid_until = now() WHERE valid_until IS NOT NULL;
         UPDATE hydra.attempt SET attempted_at = attempted_at - interval '31 days';
         UPDATE hydra.delivery SET failed_at = failed_at - interval '31 days'"
    ));
    bench.run("SELECT pg_reload_conf()");
    bench.wait_for_count("webhook_failed", 0);
    bench.wait_for_count("signing_secret", 1);
    assert_eq!(bench.count("webhook_history"), 1);
    // And events are sent.
    bench.receiver.answer("/", Answer::ok());
    bench.emit_ticket(2);
    bench.wait_for("/", 2);
}

#[test]
fn old_history_is_removed_although_rows_of_the_future_were_written_before_it() {
    let mut bench = bench("future_history");
    let add = |rows: usize, at: &str| {
        format!(
            "INSERT INTO hydra.attempt (delivery_id, event_uuid, subscription_id, event_id, event_type, entity_type, emitted_at, attempt, status_code, attempted_at)
             SELECT gen_random_uuid(), gen_random_uuid(), 0, 0, 'ticket.created', 'ticket', now(), 1, 200, now() {at} FROM generate_series(1, {rows})"
        )
    };
    bench.run(&add(6000, "+ interval '1 year'"));
    bench.run(&add(6000, "- interval '1 year'"));
    bench.run("SELECT pg_reload_conf()");
    bench.wait_for_count("webhook_history", 6000);
}
