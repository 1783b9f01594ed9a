//! Statistics by event type, tenant and result, and of any span.

use std::time::Duration;

use postgres::Client;
use testkit::receiver::Answer;
use testkit::{Bench, Refusal, ask, free_port, refused};

use crate::{bench, least_time, wait_for_time_within_an_hour, write_counts};

/// The last two hours, whatever the time is.
const LATELY: &str = "now() - interval '2 hours', now()";

fn analyst(bench: &Bench) -> Client {
    bench.session_of_new_role(&format!("analyst_of_{}", bench.database), &["hydra_analyst"])
}

/// The rows of a query, each as one text, in order.
fn rows(client: &mut Client, columns: &str, from: &str) -> Vec<String> {
    let sql = format!("SELECT concat_ws(' ', {columns}) FROM {from}");
    let rows = client.query(&sql, &[]).unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    let mut rows: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    rows.sort();
    rows
}

fn emit(bench: &mut Bench, event: &str, tenant: &str, number: usize) {
    bench.run(&format!(
        "SELECT hydra.webhook_emit('{event}', jsonb_build_object('id', n::text), {tenant}) FROM generate_series(1, {number}) AS n"
    ));
}

fn emit_for_tenants(bench: &mut Bench, first: usize, last: usize) {
    bench.run(&format!(
        "SELECT count(hydra.webhook_emit('ticket.created', jsonb_build_object('id', n::text), 'tenant ' || n))
         FROM generate_series({first}, {last}) AS n"
    ));
    bench.wait_for_empty_queue();
    write_counts(bench);
}

#[test]
fn attempts_are_counted_by_event_type_tenant_and_result_and_add_up_to_the_totals() {
    let mut bench = bench("counts");
    bench.receiver.answer("/down", Answer::status(503));
    let (warehouse, _) = bench.subscribe("/warehouse", "ticket.*", &["name => 'Data warehouse'"]);
    bench.subscribe("/down", "ticket.created", &["name => 'CRM'", "retry_schedule => '{0 s}'"]);
    bench.run(&format!(
        "SELECT hydra.webhook_create('http://127.0.0.1:{}/', '{{part.created}}', name => 'Nobody', retry_schedule => '{{}}')",
        free_port()
    ));
    wait_for_time_within_an_hour(&mut bench);
    emit(&mut bench, "ticket.created", "'acme'", 3);
    emit(&mut bench, "ticket.created", "'globex'", 2);
    emit(&mut bench, "ticket.created", "NULL", 1);
    emit(&mut bench, "ticket.resolved", "'acme'", 2);
    emit(&mut bench, "part.created", "'acme'", 1);
    bench.wait_for_empty_queue();
    write_counts(&mut bench);

    let mut analyst = analyst(&bench);
    let counts = |analyst: &mut Client| {
        let columns =
            "name, event, coalesce(tenant_id, '-'), coalesce(status_code::text, '-'), coalesce(error_class, '-'),
                       attempts, delivered, failed_attempts, failed, others";
        rows(analyst, columns, "hydra.webhook_counts")
    };
    assert_eq!(
        counts(&mut analyst),
        [
            "CRM ticket.created - 503 status 2 0 2 1 f",
            "CRM ticket.created acme 503 status 6 0 6 3 f",
            "CRM ticket.created globex 503 status 4 0 4 2 f",
            "Data warehouse ticket.created - 200 - 1 1 0 0 f",
            "Data warehouse ticket.created acme 200 - 3 3 0 0 f",
            "Data warehouse ticket.created globex 200 - 2 2 0 0 f",
            "Data warehouse ticket.resolved acme 200 - 2 2 0 0 f",
            "Nobody part.created acme - connection 1 0 1 1 f",
        ]
    );

    let of_warehouse = format!(", of_subscription => {warehouse}");
    let is_warehouse = format!("subscription_id = {warehouse}, coalesce(tenant_id, '-')");
    let numbers = "attempts, delivered, failed_attempts, failed, success_rate";
    for (by, more, key, expected) in [
        ("", "", "'all'", vec!["all 21 8 13 7 0.3810"]),
        ("", ", of_subscription => 0", "'none'", vec![]),
        (
            "tenant",
            "",
            "coalesce(tenant_id, '-')",
            vec!["- 3 1 2 1 0.3333", "acme 12 5 7 4 0.4167", "globex 6 2 4 2 0.3333"],
        ),
        (
            "event",
            ", of_event => 'ticket.*'",
            "event",
            vec!["ticket.created 18 6 12 6 0.3333", "ticket.resolved 2 2 0 0 1.0000"],
        ),
        ("event", ", of_tenant => 'globex'", "event", vec!["ticket.created 6 2 4 2 0.3333"]),
        (
            "status",
            "",
            "coalesce(status_code::text, '-'), coalesce(error_class, '-')",
            vec!["- connection 1 0 1 1 0.0000", "200 - 8 8 0 0 1.0000", "503 status 12 0 12 6 0.0000"],
        ),
        (
            "subscription",
            "",
            "name",
            vec!["CRM 12 0 12 6 0.0000", "Data warehouse 8 8 0 0 1.0000", "Nobody 1 0 1 1 0.0000"],
        ),
        (
            "subscription,tenant",
            of_warehouse.as_str(),
            is_warehouse.as_str(),
            vec!["t - 1 1 0 0 1.0000", "t acme 5 5 0 0 1.0000", "t globex 2 2 0 0 1.0000"],
        ),
        ("hour", "", "starting = date_trunc('hour', now())", vec!["t 21 8 13 7 0.3810"]),
    ] {
        let from = format!("hydra.webhook_stats_between({LATELY}, '{{{by}}}'{more})");
        assert_eq!(rows(&mut analyst, &format!("{key}, {numbers}"), &from), expected, "{from}");
    }

    // The next counts are added.
    emit(&mut bench, "ticket.created", "'acme'", 1);
    bench.wait_for_empty_queue();
    write_counts(&mut bench);
    assert!(counts(&mut analyst).contains(&"Data warehouse ticket.created acme 200 - 4 4 0 0 f".to_owned()));
    const DIFFERENT: &str = "SELECT count(*)
        FROM (SELECT c.subscription_id, c.hour, c.name, c.url, sum(c.delivered), sum(c.failed_attempts), sum(c.failed),
                     hydra.webhook_percentile(hydra.webhook_merge(c.response_times), 0.95)
              FROM hydra.webhook_counts AS c GROUP BY 1, 2, 3, 4
              EXCEPT
              SELECT s.subscription_id, s.hour, s.name, s.url, s.delivered, s.failed_attempts, s.failed, s.p95_ms
              FROM hydra.webhook_stats AS s) AS different";
    assert_eq!(ask::<i64>(&mut analyst, DIFFERENT), 0);
    assert_eq!(rows(&mut analyst, "sum(delivered), sum(failed_attempts)", "hydra.webhook_stats"), ["9 15"]);
}

#[test]
fn percentiles_of_several_hours_are_those_of_all_their_answers_together() {
    let mut bench = bench("merged");
    bench.subscribe("/", "ticket.created", &["log_successes => true"]);
    wait_for_time_within_an_hour(&mut bench);
    bench.emit_tickets(1..=60);
    bench.wait_for_empty_queue();
    write_counts(&mut bench);
    // As if it had been an hour ago.
    bench.run("UPDATE hydra.attempt_count SET hour = hour - interval '1 hour'");
    bench.receiver.answer("/", Answer::ok().after(Duration::from_secs(2)));
    bench.emit_tickets(61..=80);
    bench.wait_for_empty_queue();
    write_counts(&mut bench);

    let mut analyst = analyst(&bench);
    for share in [0.1, 0.5, 0.8, 0.95, 0.99] {
        let measured: i32 = ask(
            &mut analyst,
            &format!("SELECT percentile_disc({share}) WITHIN GROUP (ORDER BY response_ms) FROM hydra.webhook_history"),
        );
        let merged: f64 = ask(
            &mut analyst,
            &format!(
                "SELECT hydra.webhook_percentile(hydra.webhook_merge(response_times), {share}) FROM hydra.webhook_counts"
            ),
        );
        // The history has whole milliseconds.
        let (least, most) = (f64::from(measured) * 0.95, f64::from(measured + 1) * 1.25);
        assert!((least..=most).contains(&merged), "{share}: {merged} is not between {least} and {most}");
    }
    let between = |analyst: &mut Client, by: &str| {
        let from = format!("hydra.webhook_stats_between({LATELY}, '{by}')");
        rows(analyst, "attempts, p50_ms < 1900, p95_ms < 1900, p99_ms < 1900", &from)
    };
    assert_eq!(between(&mut analyst, "{hour}"), ["20 f f f", "60 t t t"]);
    assert_eq!(between(&mut analyst, "{}"), ["80 t f f"]);
    let same = format!(
        "SELECT hydra.webhook_percentile((SELECT hydra.webhook_merge(response_times) FROM hydra.webhook_counts), 0.95) = p95_ms
         FROM hydra.webhook_stats_between({LATELY})"
    );
    assert!(ask::<bool>(&mut analyst, &same));
}

#[test]
fn beyond_a_number_of_combinations_tenants_are_counted_together_and_nothing_is_lost() {
    let mut bench = bench("many_tenants");
    bench.subscribe("/", "ticket.created", &[]);
    wait_for_time_within_an_hour(&mut bench);
    emit_for_tenants(&mut bench, 1, 250);
    // After a restart, it is known which tenants have rows.
    emit_for_tenants(&mut bench, 201, 300);
    let mut analyst = analyst(&bench);
    const BOUNDED: &str = "SELECT count(*) FILTER (WHERE NOT others) = 200 AND count(*) FILTER (WHERE others) = 1
                                  AND bool_and(tenant_id IS NULL AND event = 'ticket.created') FILTER (WHERE others)
                                  AND bool_and(tenant_id IS NOT NULL) FILTER (WHERE NOT others)
                           FROM hydra.webhook_counts";
    assert!(ask::<bool>(&mut analyst, BOUNDED), "{:?}", rows(&mut analyst, "c", "hydra.webhook_counts AS c"));
    let sums = "sum(attempts), sum(delivered)";
    let by_tenant = format!("hydra.webhook_stats_between({LATELY}, '{{tenant}}')");
    assert_eq!(rows(&mut analyst, sums, &by_tenant), ["350 350"]);
    assert_eq!(rows(&mut analyst, "count(*) FILTER (WHERE others)", &by_tenant), ["1"]);
    let by_event = format!("hydra.webhook_stats_between({LATELY}, '{{event}}')");
    assert_eq!(rows(&mut analyst, "event, attempts, others IS NULL", &by_event), ["ticket.created 350 t"]);
    assert_eq!(rows(&mut analyst, "delivered", "hydra.webhook_stats"), ["350"]);
}

#[test]
fn far_beyond_that_number_event_types_are_counted_together_too() {
    let mut bench = bench("many_event_types");
    let (id, _) = bench.subscribe("/", "ticket.*", &[]);
    wait_for_time_within_an_hour(&mut bench);
    // What the dispatcher would have written in this hour.
    bench.run(&format!(
        "INSERT INTO hydra.attempt_count (hour, subscription_id, event_type, tenant_id, status_code, error_class, others, attempts)
         SELECT date_trunc('hour', now(), 'UTC'), {id}, 'ticket.event_' || n, CASE WHEN n <= 200 THEN 'tenant ' || n ELSE '' END,
                200, '', n > 200, 1
         FROM generate_series(1, 300) AS n"
    ));
    emit(&mut bench, "ticket.created", "'acme'", 2);
    emit(&mut bench, "ticket.resolved", "'acme'", 3);
    bench.wait_for_empty_queue();
    write_counts(&mut bench);
    let mut analyst = analyst(&bench);
    let unknown = "hydra.webhook_counts WHERE event IS NULL";
    assert_eq!(rows(&mut analyst, "coalesce(tenant_id, '-'), status_code, others, attempts", unknown), ["- 200 t 5"]);
    assert_eq!(rows(&mut analyst, "count(*), sum(attempts)", "hydra.webhook_counts"), ["301 305"]);
}

#[test]
fn a_span_has_the_hours_that_begin_in_it_and_days_are_those_of_the_session() {
    let mut bench = bench("spans");
    // Two days ago, from 17:00 to 20:00 UTC.
    const DAY: &str = "date_trunc('day', now() - interval '2 days', 'UTC')";
    bench.run(&format!(
        "INSERT INTO hydra.attempt_count (hour, subscription_id, event_type, tenant_id, status_code, error_class, attempts)
         SELECT {DAY} + h * interval '1 hour', 1, 'ticket.created', '', 200, '', 1 FROM generate_series(17, 19) AS h"
    ));
    let mut analyst = analyst(&bench);
    let between = |since: &str, until: &str, by: &str| {
        let limit = |time: &str| if time == "NULL" { "NULL".into() } else { format!("{DAY} + interval '{time}'") };
        format!("hydra.webhook_stats_between({}, {}, '{by}')", limit(since), limit(until))
    };
    for (since, until, attempts) in [
        ("17:00", "20:00", "3"),
        ("17:30", "19:00", "1"),
        ("17:30", "19:30", "2"),
        ("NULL", "18:00", "1"),
        ("18:00", "NULL", "2"),
    ] {
        assert_eq!(rows(&mut analyst, "attempts", &between(since, until, "{}")), [attempts], "{since} to {until}");
    }
    let whole = between("00:00", "24:00", "{day}");
    analyst.batch_execute("SET TimeZone = 'UTC'").expect("a zone");
    assert_eq!(rows(&mut analyst, "starting::time, attempts", &whole), ["00:00:00 3"]);
    // Where the day begins at 18:30 UTC.
    analyst.batch_execute("SET TimeZone = 'Asia/Kolkata'").expect("a zone");
    assert_eq!(rows(&mut analyst, "starting::time, attempts", &whole), ["00:00:00 1", "00:00:00 2"]);

    let mut error =
        |from: String, code: &str| -> Refusal { refused(&mut analyst, &format!("SELECT * FROM {from}"), code) };
    let empty = error(between("17:10", "17:50", "{}"), "22023");
    assert!(empty.message.starts_with("no hour begins") && empty.hint.contains("since =>"), "{empty:?}");
    error(between("18:00", "18:00", "{}"), "22023");
    for by in ["{customer}", "{hour,NULL}", "{hour,day}"] {
        let unknown = error(between("17:00", "20:00", by), "22023");
        assert!(unknown.message.contains("grouped"), "{unknown:?}");
    }
    let unknown = error(between("17:00", "20:00", "{customer}"), "22023");
    assert!(unknown.message.contains("'customer'"), "{unknown:?}");
    assert!(unknown.hint.contains("subscription, event, tenant, status, hour, day"), "{unknown:?}");
    let share = refused(&mut analyst, "SELECT hydra.webhook_percentile('{1}', 95)", "22023");
    assert!(share.hint.contains("0.95"), "{share:?}");
}

#[test]
fn deleted_subscriptions_keep_their_names_in_statistics() {
    let mut bench = bench("former_names");
    let (id, _) = bench.subscribe("/secret/path", "ticket.created", &["name => 'Old bridge'"]);
    wait_for_time_within_an_hour(&mut bench);
    bench.emit_tickets(1..=3);
    bench.wait_for_empty_queue();
    bench.run(&format!("SELECT hydra.webhook_delete({id})"));
    write_counts(&mut bench);
    let mut analyst = analyst(&bench);
    let by_subscription = format!("hydra.webhook_stats_between({LATELY}, '{{subscription}}')");
    for from in ["hydra.webhook_counts", "hydra.webhook_stats", &by_subscription] {
        let shown = rows(&mut analyst, "subscription_id, name, delivered, url LIKE '%/…'", from);
        assert_eq!(shown, [format!("{id} Old bridge 3 t")], "{from}");
    }
    assert_eq!(rows(&mut bench.client, "url LIKE '%/secret/path'", &by_subscription), ["t"]);
}

#[test]
fn statistics_of_a_month_of_300_subscriptions_are_computed_in_less_than_two_seconds() {
    // By default a tenth of a month.
    let scale = testkit::number("HYDRA_PERCENT").unwrap_or(10);
    let mut bench = bench("month");
    // To write so many rows is expensive.
    bench.run("SET jit = off");
    bench.run("CREATE TEMPORARY TABLE buckets AS SELECT ARRAY(SELECT nullif(n % 3, 0) FROM generate_series(1, 50) AS n) AS response_times");
    bench.run(&format!(
        "INSERT INTO hydra.subscription (id, url, event_types)
         SELECT n, 'http://127.0.0.1:9/', '{{ticket.created}}' FROM generate_series(1001, 1300) AS n;
         INSERT INTO hydra.attempt_count (hour, subscription_id, event_type, tenant_id, status_code, error_class, attempts, response_times)
         SELECT date_trunc('hour', now(), 'UTC') - h * interval '1 hour', 1000 + s, 'ticket.created', 'tenant ' || s, CASE h % 2 WHEN 0 THEN 200 ELSE 500 END, '', 50, b.response_times
         FROM generate_series(1, 300) AS s, generate_series(0, 720 * {scale} / 100 - 1) AS h, buckets AS b"
    ));
    bench.run("VACUUM ANALYZE hydra.attempt_count");
    bench.run("ANALYZE hydra.subscription");
    let mut analyst = analyst(&bench);
    let limit = Duration::from_millis(20 * scale);
    for (by, groups) in [("{}", 1), ("{subscription}", 300), ("{tenant,status}", 600)] {
        let sql = format!("SELECT * FROM hydra.webhook_stats_between(now() - interval '30 days', now(), '{by}')");
        let took = least_time(&mut analyst, |analyst| {
            assert_eq!(analyst.query(&sql, &[]).expect("statistics").len(), groups, "{sql}");
        });
        println!("{by}: {took:?}");
        assert!(took <= limit, "{by}: {took:?}");
    }
}
