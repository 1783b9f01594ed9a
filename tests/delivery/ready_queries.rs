//! The queries of docs/analysis.md, as an analyst runs them, after known traffic.

use std::fs;
use std::time::Duration;

use postgres::Client;
use testkit::receiver::Answer;
use testkit::{Bench, PATIENCE, wait_for_state, wait_until};

use crate::{bench, cluster, wait_for_time_within_an_hour, write_counts};

const PAGE: &str = include_str!("../../docs/analysis.md");
const ANALYST: &str = "analyst_with_page";

/// The blocks of a language on the page.
fn blocks(language: &str) -> Vec<&'static str> {
    PAGE.split(&format!("```{language}\n")).skip(1).map(|rest| rest.split("```").next().unwrap_or(rest)).collect()
}

fn emit(bench: &mut Bench, event: &str, tenant: &str, number: usize) {
    bench.run(&format!(
        "SELECT hydra.webhook_emit('{event}', jsonb_build_object('id', n::text), '{tenant}') FROM generate_series(1, {number}) AS n"
    ));
}

/// Deliveries that succeed at once, after an outage, slowly, or not at all; one that waits, and events that are missed.
fn traffic() -> Bench<'static> {
    let mut bench = bench("ready_queries");
    bench.receiver.answer_first("/crm", 6, Answer::status(503));
    bench.receiver.answer("/slow", Answer::ok().after(Duration::from_millis(300)));
    bench.receiver.answer("/gone", Answer::gone());
    bench.receiver.answer("/down", Answer::status(500));
    bench.subscribe("/warehouse", "ticket.*", &["name => 'Data warehouse'"]);
    bench.subscribe("/crm", "ticket.created", &["name => 'CRM'", "retry_schedule => '{1 s, 1 s, 1 s}'"]);
    bench.subscribe("/slow", "ticket.resolved", &["name => 'Slow bridge'"]);
    let (gone, _) = bench.subscribe("/gone", "part.created", &["name => 'Old bridge'", "retry_schedule => '{}'"]);
    bench.subscribe("/down", "part.created", &["name => 'Down'", "retry_schedule => '{}'"]);
    bench.subscribe("/down", "account.created", &["name => 'Waiting'", "retry_schedule => '{1 h}'"]);
    wait_for_time_within_an_hour(&mut bench);
    // In one transaction, so that all five fail before the first retry.
    bench.run(
        "SELECT hydra.webhook_emit('ticket.created', jsonb_build_object('id', n::text), CASE WHEN n <= 3 THEN 'acme' ELSE 'globex' END)
         FROM generate_series(1, 5) AS n",
    );
    emit(&mut bench, "ticket.resolved", "acme", 2);
    emit(&mut bench, "account.created", "initech", 1);
    emit(&mut bench, "part.created", "acme", 1);
    bench.wait_for_column(gone, "status", "disabled");
    emit(&mut bench, "part.created", "globex", 2);
    bench.wait_for_column(gone, "missed", "2");
    bench.wait_for_count("webhook_failed", 4);
    const WAITING: &str = "SELECT count(*) = 1 AND max(attempts) = 1 FROM hydra.webhook_pending WHERE NOT missed";
    wait_until("one delivery waits, and no other", PATIENCE, || bench.ask(WAITING));
    write_counts(&mut bench);
    wait_for_state(&mut bench.client, "running");
    bench
}

/// The rows of a query of the page, each as one text.
fn rows(client: &mut Client, query: &str, columns: &str) -> Vec<String> {
    let sql = format!("SELECT concat_ws('|', {columns}) FROM ({}) AS q", query.trim().trim_end_matches(';'));
    let rows = client.query(&sql, &[]).unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    rows.iter().map(|row| row.get(0)).collect()
}

#[test]
fn each_query_of_the_page_for_analysts_answers_its_question() {
    let bench = traffic();
    let mut analyst = bench.session_of_new_role(ANALYST, &["hydra_analyst"]);
    let queries = blocks("sql");
    let [now, waits, failing, slow, by_event, busy, reasons, customers, outages, retries] = queries[..] else {
        panic!("{} queries", queries.len())
    };
    let mut rows = |query, columns| rows(&mut analyst, query, columns);
    let sorted = |mut rows: Vec<String>| {
        rows.sort();
        rows
    };

    let state = "state, dropped, waiting, late_by IS NULL, disabled, failing_since < now(), given_up_this_hour";
    assert_eq!(rows(now, state), ["running|0|1|t|1|t|4"]);
    let waiting = "name, status, waiting, most_attempts, oldest < next_attempt";
    assert_eq!(rows(waits, waiting), ["Waiting|active|1|1|t"]);
    let by_day =
        rows(failing, "name, attempts, failed_attempts, failure_rate, day = current_date, url LIKE 'http://127.%/…'");
    assert!(by_day[0].contains("|1.0000|") && by_day[5].contains("|0.0000|"), "the worst come first: {by_day:?}");
    assert_eq!(
        sorted(by_day),
        [
            "CRM|11|6|0.5455|t|t",
            "Data warehouse|7|0|0.0000|t|t",
            "Down|3|3|1.0000|t|t",
            "Old bridge|1|1|1.0000|t|t",
            "Slow bridge|2|0|0.0000|t|t",
            "Waiting|1|1|1.0000|t|t",
        ]
    );
    let by_time = rows(slow, "name, attempts, p50_ms >= 290, p95_ms >= 290, p99_ms >= 290");
    assert!(by_time.len() == 6 && by_time[0] == "Slow bridge|2|t|t|t", "{by_time:?}");
    let by_event = rows(by_event, "event, attempts, success_rate");
    assert_eq!(by_event[0], "ticket.resolved|4|1.0000", "the slowest comes first: {by_event:?}");
    assert_eq!(
        sorted(by_event),
        ["account.created|1|0.0000", "part.created|4|0.0000", "ticket.created|16|0.6250", "ticket.resolved|4|1.0000"]
    );
    assert_eq!(rows(busy, "hour_of_day = extract(hour FROM now()), attempts, p95_ms > 0"), ["t|25|t"]);
    assert_eq!(
        sorted(rows(reasons, "name, error_class, status_code, attempts, given_up")),
        ["CRM|status|503|6|0", "Down|status|500|3|3", "Old bridge|status|410|1|1", "Waiting|status|500|1|0"]
    );
    assert_eq!(
        rows(customers, "tenant_id, event, given_up, missed, first <= last"),
        ["globex|part.created|2|2|t", "acme|part.created|2|0|t"]
    );
    let outage = "name, failed_attempts, recovered > began, lasted > interval '0.5 s', lasted = recovered - began";
    assert_eq!(rows(outages, outage), ["CRM|6|t|t|t"]);
    assert_eq!(rows(retries, "attempt, retries, delivered, success_rate"), ["2|5|4|0.80", "3|1|1|1.00"]);
}

#[test]
fn the_documented_command_writes_statistics_as_csv() {
    let mut bench = bench("ready_csv");
    bench.subscribe("/", "ticket.created", &["name => 'Data warehouse'"]);
    wait_for_time_within_an_hour(&mut bench);
    bench.emit_tickets(1..=2);
    bench.wait_for_empty_queue();
    write_counts(&mut bench);
    bench.session_of_new_role("analyst_with_psql", &["hydra_analyst"]);
    let [command] = blocks("sh")[..] else { panic!("there is one command") };
    let copy =
        command.trim().strip_prefix("psql -c \"").and_then(|rest| rest.strip_suffix('"')).expect("a command of psql");
    let directory = cluster().directory();
    let mut psql = cluster().program("psql");
    psql.current_dir(directory).env("PGUSER", "analyst_with_psql").args(["--no-psqlrc", "-c", copy, "ready_csv"]);
    let output = psql.output().expect("psql starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let written = fs::read_to_string(directory.join("webhooks.csv")).expect("the file is there");
    let lines: Vec<&str> = written.lines().collect();
    assert!(lines[0].starts_with("starting,subscription_id,name,url,"), "{written}");
    assert!(
        lines.len() == 2 && lines[1].contains(",Data warehouse,") && lines[1].contains(",2,2,0,0,1.0000,"),
        "{written}"
    );
}
