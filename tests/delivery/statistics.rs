//! Statistics by subscription and hour.

use std::time::Duration;

use testkit::receiver::Answer;
use testkit::{Bench, Cluster, PATIENCE, wait_until};

use crate::{bench, least_time, wait_for_time_within_an_hour, write_counts};

#[test]
fn statistics_count_deliveries_attempts_and_times_and_survive_a_restart() {
    let mut bench = bench("statistics");
    bench.receiver.answer_first("/", 2, Answer::status(500));
    bench.receiver.answer("/slow", Answer::ok().after(Duration::from_millis(300)));
    let (id, _) = bench.subscribe("/", "ticket.created", &["retry_schedule => '{0 s}'", "max_in_flight => 1"]);
    let (slow, _) = bench.subscribe("/slow", "ticket.created", &[]);
    wait_for_time_within_an_hour(&mut bench);
    for number in 1..=4 {
        bench.emit_ticket(number);
    }
    bench.wait_for_empty_queue();
    for round in 1..=2 {
        write_counts(&mut bench);
        let row = bench.client.query_one(
            "SELECT sum(delivered)::bigint, sum(failed_attempts)::bigint, sum(failed)::bigint, max(depth), min(success_rate)::float8
             FROM hydra.webhook_stats WHERE subscription_id = $1",
            &[&id],
        );
        let row = row.expect("statistics");
        let counts: [i64; 4] = [0, 1, 2, 3].map(|column| row.get(column));
        // Two failures: both of one delivery, which is then given up, or of two deliveries, which then succeed.
        assert_eq!((counts[0] + counts[2], counts[1], counts[3]), (4, 2, 0), "round {round}: {counts:?}");
        let rate: f64 = row.get(4);
        assert!((rate - counts[0] as f64 / (counts[0] + 2) as f64).abs() < 0.001, "{rate}");
        let times: Vec<f64> = ["p50_ms", "p95_ms", "p99_ms"]
            .iter()
            .map(|column| {
                bench.ask(&format!(
                    "SELECT {column} FROM hydra.webhook_stats WHERE subscription_id = {slow} AND delivered > 0"
                ))
            })
            .collect();
        // To two digits.
        assert!(times.iter().all(|time| (290.0..5000.0).contains(time)) && times.is_sorted(), "{times:?}");
    }
}

#[test]
fn pending_deliveries_are_in_the_statistics_of_the_current_hour() {
    let mut bench = bench("statistics_depth");
    bench.receiver.answer("/", Answer::status(500));
    let (id, _) = bench.subscribe("/", "ticket.created", &["retry_schedule => '{1 h}'"]);
    for number in 1..=3 {
        bench.emit_ticket(number);
    }
    const WAITING: &str = "SELECT coalesce(max(depth), 0) = 3 AND bool_or(oldest_due > now()) FROM hydra.webhook_stats WHERE subscription_id = ";
    wait_until("all have failed once", PATIENCE, || {
        bench.ask::<Option<bool>>(&format!("{WAITING}{id}")).unwrap_or_default()
    });
}

#[test]
fn counts_are_removed_when_they_are_older_than_the_retention_also_those_of_deleted_subscriptions() {
    let mut bench = bench("statistics_forgotten");
    let (kept, _) = bench.subscribe("/", "ticket.created", &[]);
    let (deleted, _) = bench.subscribe("/", "ticket.created", &[]);
    bench.run(&format!(
        "CREATE TEMPORARY TABLE hours AS
         SELECT id, date_trunc('hour', now() - age, 'UTC') AS hour
         FROM unnest(ARRAY[{kept}, {deleted}]) AS id,
              unnest(ARRAY[interval '1 hour', '29 days', '31 days', '2 years']) AS age;
         INSERT INTO hydra.delivery_count (subscription_id, hour, delivered, response_times)
         SELECT id, hour, 1, array_fill(0, ARRAY[73]) FROM hours;
         INSERT INTO hydra.attempt_count (subscription_id, hour, event_type, tenant_id, status_code, error_class, attempts)
         SELECT id, hour, 'ticket.created', '', 200, '', 1 FROM hours"
    ));
    bench.run(&format!("SELECT hydra.webhook_delete({deleted})"));
    // After a reload the dispatcher checks at once.
    bench.run("SELECT pg_reload_conf()");
    for table in ["delivery_count", "attempt_count"] {
        wait_until(format!("the old rows of {table} are removed"), PATIENCE, || bench.count(table) == 4);
        let left = format!(
            "SELECT count(DISTINCT subscription_id) = 2 AND min(hour) > now() - interval '30 days' FROM hydra.{table}"
        );
        assert!(bench.ask::<bool>(&left), "{table}");
    }
    assert_eq!(bench.column(kept, "delivered"), "2");
}

#[test]
fn the_retention_is_the_time_for_which_counts_are_kept() {
    // The shortest retention, and an hour that is not over within it.
    let cluster = Cluster::start(&[("hydra_webhooks.retention", "1min")]);
    let mut bench = Bench::new(&cluster, "statistics_short");
    let (id, _) = bench.subscribe("/", "ticket.created", &[]);
    bench.run(&format!(
        "INSERT INTO hydra.delivery_count (subscription_id, hour, response_times)
         SELECT {id}, date_trunc('hour', now(), 'UTC') - n * interval '1 hour', array_fill(0, ARRAY[73])
         FROM generate_series(0, 5) AS n"
    ));
    bench.run("SELECT pg_reload_conf()");
    const LEFT: &str =
        "SELECT count(*) BETWEEN 1 AND 2 AND max(hour) + interval '2 hours' > now() FROM hydra.delivery_count";
    wait_until("old hours are removed", PATIENCE, || bench.ask(LEFT));
}

#[test]
fn views_answer_at_once_whatever_waits_and_whatever_has_failed() {
    // By default a tenth of 500,000 pending and 300,000 failed deliveries and a million attempts.
    let scale = testkit::number("HYDRA_PERCENT").unwrap_or(10);
    let (pending, failed, attempts) = (5_000 * scale, 3_000 * scale, 10_000 * scale);
    let mut bench = bench("statistics_large");
    // Nothing is sent, because these subscriptions have no secrets. Most of the deliveries are of one.
    bench.run(&format!(
        "INSERT INTO hydra.subscription (id, name, url, event_types)
         SELECT n, n::text, 'http://127.0.0.1:9/', '{{ticket.created}}' FROM generate_series(1001, 1300) AS n;
         INSERT INTO hydra.delivery (id, subscription_id, event_id, event_random, installation, event_type, entity_type, entity_id, tenant_id,
                                     emitted_at, preset, body, state, due_at, failed_at)
         SELECT gen_random_uuid(), 1001 + CASE n % 2 WHEN 0 THEN n % 300 ELSE 0 END, n, 0, hydra._installation(), 'ticket.created', 'ticket',
                n::text, 'tenant ' || n % 1000, now(), 'hydra', repeat('x', 400),
                CASE WHEN n > {failed} THEN 'pending' ELSE 'failed' END, CASE WHEN n > {failed} THEN now() + n * interval '1 s' END,
                CASE WHEN n <= {failed} THEN now() - n * interval '1 s' END
         FROM generate_series(1, {pending} + {failed}) AS n;
         INSERT INTO hydra.attempt (delivery_id, event_uuid, subscription_id, event_id, event_type, entity_type, entity_id, tenant_id, emitted_at,
                                    attempt, status_code, error_class, error, response_excerpt, response_ms, attempted_at)
         SELECT d.id, hydra._event_uuid(d.installation, d.event_id, 0), d.subscription_id, d.event_id, d.event_type, d.entity_type, d.entity_id, d.tenant_id, d.emitted_at, 1, 500, 'status', 'the receiver answered with status 500', 'no', 1, now() - d.event_id * interval '1 s'
         FROM hydra.delivery AS d WHERE d.state = 'failed';
         INSERT INTO hydra.attempt (delivery_id, event_uuid, subscription_id, event_id, event_type, entity_type, entity_id, tenant_id, emitted_at,
                                    attempt, status_code, response_ms, attempted_at)
         SELECT gen_random_uuid(), gen_random_uuid(), 1001 + n % 300, n, 'ticket.created', 'ticket', n::text, 'tenant ' || n % 1000, now(), 2, 200, 1, now() - n * interval '1 s'
         FROM generate_series(1, {attempts} - {failed}) AS n;
         INSERT INTO hydra.delivery_count
         SELECT 1000 + s, date_trunc('hour', now(), 'UTC') - h * interval '1 h', h, 1, 0, array_fill(1, ARRAY[73])
         FROM generate_series(1, 300) AS s, generate_series(1, 240 * {scale} / 100) AS h;"
    ));
    // As autovacuum does after so many rows.
    bench.run("VACUUM ANALYZE hydra.delivery");
    bench.run("VACUUM ANALYZE hydra.attempt");
    bench.run("VACUUM ANALYZE hydra.delivery_count");
    bench.run(&format!(
        "INSERT INTO hydra.delivered (id, subscription_id, event_id, event_random, installation, event_type, entity_type, entity_id, tenant_id,
                                      emitted_at, preset, body, attempts, status_code, response_excerpt, response_ms, delivered_at, kept_until)
         SELECT gen_random_uuid(), 1001 + n % 300, n, 0, hydra._installation(), 'ticket.created', 'ticket', n::text, 'tenant ' || n % 1000,
                now(), 'hydra', repeat('x', 400), 1, 200, '', 1, now() - n * interval '1 s', now() + interval '1 d'
         FROM generate_series(1, {attempts}) AS n"
    ));
    bench.run("VACUUM ANALYZE hydra.delivered");
    bench.run("ANALYZE hydra.subscription");
    let mut analyst = bench.session_of_new_role("analyst_of_much", &["hydra_analyst"]);
    let seventh: String = bench.ask("SELECT hydra._event_uuid(hydra._installation(), 7, 0)::text");
    let by_receiver = ["webhook_failed", "webhook_delivered", "webhook_history"]
        .map(|view| format!("SELECT * FROM hydra.{view} WHERE event_uuid = '{seventh}'"));
    for (sql, limit) in [
        (&*by_receiver[0], 50),
        (&*by_receiver[1], 50),
        (&*by_receiver[2], 50),
        ("SELECT * FROM hydra.webhook_subscriptions", 200),
        ("SELECT * FROM hydra.webhook_subscriptions WHERE id = 1007", 50),
        ("SELECT * FROM hydra.webhook_failed ORDER BY failed_at DESC LIMIT 50", 50),
        ("SELECT * FROM hydra.webhook_failed WHERE subscription_id = 1007 ORDER BY failed_at DESC LIMIT 50", 50),
        ("SELECT * FROM hydra.webhook_failed WHERE entity_id = '7'", 50),
        ("SELECT * FROM hydra.webhook_failed WHERE tenant_id = 'tenant 7' ORDER BY failed_at DESC LIMIT 50", 50),
        ("SELECT * FROM hydra.webhook_delivered ORDER BY delivered_at DESC LIMIT 50", 50),
        ("SELECT * FROM hydra.webhook_delivered WHERE name = '1007' ORDER BY delivered_at DESC LIMIT 50", 50),
        ("SELECT * FROM hydra.webhook_delivered WHERE entity_type = 'ticket' AND entity_id = '7'", 50),
        ("SELECT * FROM hydra.webhook_delivered WHERE tenant_id = 'tenant 7' ORDER BY delivered_at DESC LIMIT 50", 50),
        ("SELECT * FROM hydra.webhook_history ORDER BY attempted_at DESC LIMIT 50", 50),
        ("SELECT * FROM hydra.webhook_history WHERE entity_type = 'ticket' AND entity_id = '7'", 50),
        ("SELECT * FROM hydra.webhook_history WHERE tenant_id = 'tenant 7' ORDER BY attempted_at DESC LIMIT 50", 50),
        ("SELECT * FROM hydra.webhook_stats WHERE hour > now() - interval '1 d'", 400),
    ] {
        let took = least_time(&mut analyst, |analyst| {
            assert!(!analyst.query(sql, &[]).expect("a view").is_empty(), "{sql}");
        });
        println!("{sql}: {took:?}");
        assert!(took <= Duration::from_millis(limit), "{sql}: {took:?}");
    }
}

/// Compiling takes seconds, and an empty database has next to no rows. A function that seems to return 1,000 rows can be enough.
#[test]
fn no_view_seems_so_expensive_that_postgres_compiles_its_queries() {
    let mut bench = bench("statistics_cost");
    let views: Vec<String> = bench.ask(
        "SELECT array_agg(oid::regclass::text) FROM pg_class
         WHERE relnamespace = 'hydra'::regnamespace AND relkind = 'v' AND has_table_privilege('hydra_admin', oid, 'SELECT')",
    );
    let limit: f64 = bench.ask("SELECT setting::float8 FROM pg_settings WHERE name = 'jit_above_cost'");
    for view in views {
        let plan = bench.client.query(&format!("EXPLAIN SELECT * FROM {view}"), &[]).expect("a plan");
        let first: String = plan[0].get(0);
        let cost =
            first.split("..").nth(1).and_then(|rest| rest.split(' ').next()).expect("the cost of the whole query");
        assert!(cost.parse::<f64>().expect("a number") < limit, "{view}: {first}");
    }
}
