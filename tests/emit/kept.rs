//! What is kept of an event until it is delivered: what it is about, which change it reports, where it was emitted.

use testkit::Bench;
use testkit::receiver::Answer;

use crate::{PATH, cluster};

/// A bench in which every delivery waits for its retry.
fn failing(database: &str) -> Bench<'static> {
    let mut bench = Bench::new(cluster(), database);
    bench.receiver.answer(PATH, Answer::status(500));
    bench.subscribe(PATH, "ticket.*,part.*", &["retry_schedule => '{1 h}'"]);
    bench
}

#[test]
fn an_event_and_its_deliveries_say_what_they_are_about_and_which_change_they_report() {
    let mut bench = failing("operations");
    bench.run("CREATE TABLE part (id text, name text); CREATE TABLE bulk (id text, name text)");
    for (event, operation) in [("part.created", "insert"), ("part.updated", "update"), ("part.deleted", "delete")] {
        bench.run(&format!(
            "SELECT hydra.webhook_watch('part', '{event}', '{operation}');
             SELECT hydra.webhook_watch('bulk', '{event}', '{operation}', level => 'statement')"
        ));
    }
    bench.run("BEGIN; SELECT hydra.webhook_emit('ticket.created', '{\"id\": 7}')");
    for table in ["part", "bulk"] {
        bench.run(&format!(
            "INSERT INTO {table} VALUES ('{table}', 'a'); UPDATE {table} SET name = 'b'; DELETE FROM {table}"
        ));
    }
    let expected = "bulk part delete,bulk part insert,bulk part update,part part delete,part part insert,part part update,7 ticket -";
    let listed = |relation: &str, columns: &str| {
        format!(
            "SELECT string_agg(concat_ws(' ', entity_id, entity_type, {columns}), ',' ORDER BY entity_type, entity_id, {columns})
             FROM hydra.{relation}"
        )
    };
    let with_operation = "coalesce(operation, '-')";
    assert_eq!(bench.ask::<String>(&listed("event", with_operation)), expected);
    bench.run("COMMIT");
    bench.wait_for_history(7);
    assert_eq!(bench.ask::<String>(&listed("delivery", with_operation)), expected);
    assert_eq!(bench.ask::<i64>("SELECT sum(hops) FROM hydra.delivery"), 0);
    let known = "bulk part,bulk part,bulk part,part part,part part,part part,7 ticket";
    assert_eq!(bench.ask::<String>(&listed("webhook_pending", "NULL")), known);

    // Claimed and failed again, a delivery still has all of it. The new schedule makes it due now.
    bench.run("SELECT hydra.webhook_update(min(id), retry_schedule => '{}') FROM hydra.webhook_subscriptions");
    bench.wait_for_count("webhook_failed", 7);
    assert_eq!(bench.ask::<String>(&listed("delivery", with_operation)), expected);
    assert_eq!(bench.ask::<String>(&listed("webhook_failed", "NULL")), known);
}

#[test]
fn an_event_and_its_deliveries_have_the_installation_and_the_random_part_that_it_was_emitted_with() {
    let mut bench = failing("origins");
    bench.run("BEGIN");
    bench.emit_tickets(1..=2);
    bench.run(
        "INSERT INTO hydra.event (event_type, entity_type, entity, targets)
         SELECT 'ticket.created', 'ticket', '{}', ARRAY[min(id)] FROM hydra.subscription",
    );
    let origins = |relation: &str, columns: &str| {
        format!("SELECT string_agg(concat_ws(' ', {columns}), ',' ORDER BY {columns}) FROM hydra.{relation}")
    };
    let emitted: String = bench.ask(&origins("event", "id, random, installation"));
    assert_eq!(bench.ask::<i64>("SELECT count(DISTINCT random) FROM hydra.event"), 3);
    assert!(
        bench.ask::<bool>("SELECT bool_and(e.installation = i.namespace) FROM hydra.event AS e, hydra.identity AS i")
    );
    bench.run("COMMIT");
    bench.wait_for_history(3);
    assert_eq!(bench.ask::<String>(&origins("delivery", "event_id, event_random, installation")), emitted);
}

#[test]
fn a_large_body_that_waits_is_compressed_by_the_faster_method_where_the_server_has_it() {
    let mut bench = failing("compressed");
    let known = "SELECT CASE WHEN 'lz4' = ANY (enumvals) THEN 'lz4' ELSE 'pglz' END
                 FROM pg_settings WHERE name = 'default_toast_compression'";
    bench.run("SELECT hydra.webhook_emit('ticket.created', jsonb_build_object('text', repeat('large ', 10000)))");
    bench.wait_for_history(1);
    let method: String = bench.ask("SELECT pg_column_compression(body) FROM hydra.delivery");
    assert_eq!(method, bench.ask::<String>(known));
}
