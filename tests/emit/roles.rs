//! Which roles can emit, and that none of them can read.

use postgres::Client;
use testkit::{ask, refusal, run};

use crate::{bench, emit, set, settle_ids, settle_set, trigger};

#[test]
fn an_application_emits_with_the_emitter_role_and_reads_nothing() {
    let mut bench = bench("emitter");
    let mut application = bench.session_of_new_role("emitter_app", &["hydra_emitter"]);
    let id: Option<i64> = ask(&mut application, &emit("by the application"));
    assert!(id.is_some());
    run(&mut application, "BEGIN");
    run(&mut application, &emit("in a transaction"));
    run(&mut application, "COMMIT");
    assert_eq!(settle_set(&mut bench), set(&["by the application", "in a transaction"]));
    assert_reads_only(&["webhook_event_types", "webhook_watches"], &mut bench.client, &mut application);
}

#[test]
fn an_application_without_any_role_emits_through_a_trigger_of_the_tables_owner() {
    let mut bench = bench("stranger");
    let mut owner = bench.session_of_new_role("stranger_owner", &["hydra_emitter"]);
    bench.run("CREATE SCHEMA shop AUTHORIZATION stranger_owner");
    run(&mut owner, &format!("CREATE TABLE shop.ticket (id text); {}", trigger("shop.ticket", "ticket.created")));
    let mut application = bench.session_of_new_role("stranger_app", &[]);
    run(&mut owner, "GRANT USAGE ON SCHEMA shop TO stranger_app; GRANT INSERT ON shop.ticket TO stranger_app");
    run(&mut application, "INSERT INTO shop.ticket VALUES ('sold')");
    assert_eq!(settle_ids(&mut bench), ["sold"]);
    assert_eq!(refusal(&mut application, &emit("by hand")).code, "42501");
    assert_reads_only(&[], &mut bench.client, &mut application);
}

#[test]
fn a_role_that_was_permitted_to_can_change_tables_without_emitting() {
    let mut bench = bench("silent");
    crate::watch(&mut bench, "id text");
    bench.run("CREATE TABLE part (id text); SELECT hydra.webhook_watch('part', 'part.created', 'insert', level => 'statement')");
    let mut migration = bench.session_of_new_role("silent_migration", &["hydra_emitter"]);
    bench.run("GRANT INSERT ON ticket, part TO silent_migration");
    assert_eq!(refusal(&mut migration, "SET hydra_webhooks.emit = off").code, "42501", "not without permission");
    bench.run("GRANT SET ON PARAMETER hydra_webhooks.emit TO silent_migration");
    run(&mut migration, "BEGIN; SET LOCAL hydra_webhooks.emit = off");
    run(&mut migration, "INSERT INTO ticket VALUES ('backfill'); INSERT INTO part VALUES ('backfill')");
    assert_eq!(ask::<Option<i64>>(&mut migration, &emit("by hand")), None);
    assert_eq!(refusal(&mut migration, "SELECT hydra.webhook_emit('no.such', '{}')").code, "42704", "still checked");
    run(
        &mut migration,
        "ROLLBACK; BEGIN; SET LOCAL hydra_webhooks.emit = off; INSERT INTO ticket VALUES ('backfill'); COMMIT",
    );
    run(&mut migration, "INSERT INTO ticket VALUES ('afterwards')");
    assert_eq!(settle_ids(&mut bench), ["afterwards"]);
    bench.run("REVOKE SET ON PARAMETER hydra_webhooks.emit FROM silent_migration");
}

/// The role can read no table, view or sequence of the schema but these.
#[track_caller]
fn assert_reads_only(readable: &[&str], superuser: &mut Client, application: &mut Client) {
    const RELATIONS: &str =
        "SELECT relname::text FROM pg_class WHERE relnamespace = 'hydra'::regnamespace AND relkind IN ('r', 'v', 'S')";
    let relations = superuser.query(RELATIONS, &[]).unwrap();
    assert!(relations.len() > 10, "there is something to refuse");
    for relation in relations {
        let name: String = relation.get(0);
        let read = format!("SELECT * FROM hydra.{name}");
        match readable.contains(&name.as_str()) {
            true => run(application, &read),
            false => assert_eq!(refusal(application, &read).code, "42501", "{name}"),
        }
    }
}
