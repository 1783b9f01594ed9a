//! What a DBA, or a tool of a DBA, adds to `hydra.event` has its effect on each event.

use testkit::Bench;

use crate::{bench, set, settle, settle_one, settle_set, trigger};

/// A bench where each row of the table `ticket` emits an event, and `change` was made after the first events.
fn altered(database: &str, change: &str) -> Bench<'static> {
    let mut bench = bench(database);
    bench.run(&format!("CREATE TABLE ticket (id int, tenant_id text); {}", trigger("ticket", "ticket.created")));
    // This session has emitted before: the change reaches it by an invalidation.
    emit_both(&mut bench, "before");
    settle(&mut bench);
    bench.receiver.clear();
    bench.run(change);
    bench
}

/// Emits by a call and by a row of a role that owns nothing.
fn emit_both(bench: &mut Bench, role: &str) {
    let role = format!("{role}_{}", bench.database);
    bench.run(&format!(
        "CREATE ROLE {role}; GRANT hydra_emitter TO {role}; GRANT INSERT ON ticket TO {role}; SET ROLE {role};
         SELECT hydra.webhook_emit('ticket.created', '{{\"id\": \"call\"}}'); INSERT INTO ticket (id) VALUES (7); RESET ROLE"
    ));
}

/// Emits, and checks that both events arrive.
#[track_caller]
fn emits(bench: &mut Bench) {
    emit_both(bench, "app");
    assert_eq!(settle_set(bench), set(&["7", "call"]));
}

#[test]
fn an_index_of_any_kind_on_the_queue_is_filled_and_crashes_nothing() {
    for (number, index) in [
        "CREATE INDEX added ON hydra.event ((lower(event_type)))",
        "CREATE INDEX added ON hydra.event ((entity::jsonb ->> 'id'))",
        "CREATE INDEX added ON hydra.event (event_type) WHERE tenant_id = 'x'",
        "CREATE UNIQUE INDEX added ON hydra.event (event_type) WHERE tenant_id = 'x'",
        "ALTER TABLE hydra.event ADD CONSTRAINT added UNIQUE (id, event_type) DEFERRABLE INITIALLY DEFERRED",
        "ALTER TABLE hydra.event ADD CONSTRAINT added EXCLUDE USING btree (id WITH =)",
        "CREATE INDEX added ON hydra.event USING gin (targets)",
        "CREATE INDEX CONCURRENTLY added ON hydra.event ((length(entity)))",
    ]
    .into_iter()
    .enumerate()
    {
        let mut bench = altered(&format!("index_{number}"), index);
        emits(&mut bench);
    }
}

#[test]
fn a_partial_index_has_only_the_events_of_its_predicate() {
    let mut bench = altered("partial_index", "CREATE INDEX failed ON hydra.event (id) WHERE entity_error IS NOT NULL");
    bench.run("BEGIN; SELECT hydra.webhook_emit('ticket.created', '{}') FROM generate_series(1, 10)");
    bench.run("SET LOCAL enable_seqscan = off");
    let failed: i64 = bench.ask("SELECT count(*) FROM hydra.event WHERE entity_error IS NOT NULL");
    assert_eq!(failed, 0);
    bench.run("COMMIT");
}

#[test]
fn a_constraint_on_the_queue_is_enforced() {
    let mut bench = altered(
        "checked",
        "ALTER TABLE hydra.event ADD CONSTRAINT never_resolved CHECK (event_type <> 'ticket.resolved') NOT VALID",
    );
    assert_eq!(bench.refusal("SELECT hydra.webhook_emit('ticket.resolved', '{}')").code, "23514");
    emits(&mut bench);
    bench.run(
        "ALTER TABLE hydra.event DROP CONSTRAINT never_resolved, DROP CONSTRAINT entity_or_why_not;
               ALTER TABLE hydra.event ADD CONSTRAINT entity_or_why_not CHECK (tenant_id IS NOT NULL) NOT VALID",
    );
    assert_eq!(bench.refusal("SELECT hydra.webhook_emit('ticket.created', '{}')").code, "23514");
    bench.run("ALTER TABLE hydra.event DROP CONSTRAINT entity_or_why_not; ALTER TABLE hydra.event ALTER tenant_id SET NOT NULL");
    assert_eq!(bench.refusal("SELECT hydra.webhook_emit('ticket.created', '{}')").code, "23502");
}

#[test]
fn a_rule_on_the_queue_is_applied() {
    let mut bench = altered(
        "rule",
        "CREATE TABLE public.archive (LIKE hydra.event);
         CREATE RULE archive AS ON INSERT TO hydra.event DO ALSO INSERT INTO public.archive VALUES (NEW.*)",
    );
    emits(&mut bench);
    assert_eq!(bench.ask::<i64>("SELECT count(*) FROM archive"), 2);
}

#[test]
fn triggers_that_track_the_queue_see_each_event_and_may_change_it() {
    let mut bench = altered(
        "triggers",
        "CREATE TABLE public.caught (entity_id text, by text);
         CREATE FUNCTION caught() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN INSERT INTO public.caught VALUES (NEW.entity_id, TG_NAME || ' ' || current_user); RETURN NULL; END $$;
         CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.tenant_id = 'stamped'; RETURN NEW; END $$;
         CREATE TRIGGER z_repack_trigger AFTER INSERT ON hydra.event FOR EACH ROW EXECUTE FUNCTION caught();
         CREATE TRIGGER stamp BEFORE INSERT ON hydra.event FOR EACH ROW EXECUTE FUNCTION stamp()",
    );
    emits(&mut bench);
    let caught: Vec<String> = bench.ask("SELECT array_agg(entity_id || ' ' || by ORDER BY entity_id) FROM caught");
    assert_eq!(caught, ["7 z_repack_trigger postgres", "call z_repack_trigger postgres"], "as the owner of the table");
    let tenants = bench.receiver.requests(crate::PATH);
    assert!(tenants.iter().all(|request| request.json()["tenant_id"] == "stamped"), "{tenants:?}");

    bench.run(
        "DROP TRIGGER stamp ON hydra.event; CREATE FUNCTION skip() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
         CREATE TRIGGER skip BEFORE INSERT ON hydra.event FOR EACH ROW EXECUTE FUNCTION skip()",
    );
    let id: Option<i64> = bench.ask("SELECT hydra.webhook_emit('ticket.created', '{}')");
    assert_eq!(id, None, "nothing was stored");
}

#[test]
fn names_in_a_trigger_of_the_queue_cannot_be_replaced_by_the_session_that_emits() {
    let mut bench = altered(
        "trigger_names",
        "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM length(NEW.entity); RETURN NULL; END $$;
         CREATE TRIGGER note AFTER INSERT ON hydra.event FOR EACH ROW EXECUTE FUNCTION note();
         CREATE SCHEMA evil; CREATE TABLE evil.ran (who text); GRANT USAGE ON SCHEMA evil TO public;
         CREATE FUNCTION evil.length(text) RETURNS int LANGUAGE plpgsql AS
             $$ BEGIN INSERT INTO evil.ran VALUES (current_user); RETURN 1; END $$",
    );
    bench.run("SET search_path = evil, pg_catalog, public; SELECT hydra.webhook_emit('ticket.created', '{}'); RESET search_path");
    assert_eq!(bench.ask::<i64>("SELECT count(*) FROM evil.ran"), 0);
}

#[test]
fn columns_can_be_added_to_the_queue_and_dropped_again() {
    let mut bench =
        altered("added_columns", "ALTER TABLE hydra.event ADD COLUMN note text DEFAULT 'added', ADD COLUMN more int");
    bench.run("BEGIN");
    bench.emit_ticket("noted");
    assert_eq!(bench.ask::<String>("SELECT note FROM hydra.event WHERE entity_id = 'noted'"), "added");
    bench.run("ROLLBACK");
    emits(&mut bench);
    bench.receiver.clear();
    bench.run("ALTER TABLE hydra.event DROP COLUMN note");
    bench.emit_ticket("one dropped");
    bench.run("ALTER TABLE hydra.event DROP COLUMN more");
    bench.emit_ticket("all dropped");
    assert_eq!(settle_set(&mut bench), set(&["one dropped", "all dropped"]));
    assert!(!inserts_by_sql(&bench));

    bench.run("ALTER TABLE hydra.event RENAME entity_error TO problem");
    assert_eq!(bench.refusal("SELECT hydra.webhook_emit('ticket.created', '{}')").code, "42703");
}

#[test]
fn the_tables_are_heaps_whatever_the_default_of_the_database_is_and_other_storage_is_written_by_sql() {
    let mut bench = altered("storage", "CREATE ACCESS METHOD heap2 TYPE TABLE HANDLER heap_tableam_handler");
    bench.run("DROP EXTENSION hydra_webhooks CASCADE; SET default_table_access_method = heap2; CREATE EXTENSION hydra_webhooks");
    let others: i64 = bench.ask(
        "SELECT count(*) FROM pg_class AS c JOIN pg_am AS a ON a.oid = c.relam
         WHERE c.relnamespace = 'hydra'::regnamespace AND c.relkind = 'r' AND a.amname <> 'heap'",
    );
    assert_eq!(others, 0);
    bench.run("ALTER TABLE hydra.event SET ACCESS METHOD heap2");
    bench.subscribe(crate::PATH, "ticket.created", &[]);
    assert!(inserts_by_sql(&bench));
    bench.emit_ticket("elsewhere");
    settle(&mut bench);
    let ids: Vec<String> = bench.receiver.requests(crate::PATH).iter().map(|request| request.entity_id()).collect();
    assert!(ids.contains(&"elsewhere".to_owned()), "{ids:?}");
}

#[test]
fn under_replica_nothing_is_emitted_whatever_was_done_to_the_triggers_of_the_extension() {
    let mut bench = altered("own_trigger", "ALTER TABLE hydra.event DISABLE TRIGGER keep_to_its_cluster");
    for state in ["DISABLE", "ENABLE ALWAYS", "ENABLE REPLICA"] {
        bench.run(&format!("ALTER TABLE hydra.event {state} TRIGGER keep_to_its_cluster"));
        bench.run("SET session_replication_role = replica");
        assert_eq!(bench.emit_ticket("replica"), None, "{state}");
        bench.run("RESET session_replication_role");
    }
    bench.emit_ticket("origin");
    assert_eq!(settle_one(&mut bench)["data"]["entity_id"], "origin");
    assert!(!inserts_by_sql(&bench));
}

#[test]
fn an_event_is_usually_inserted_without_a_statement() {
    let mut bench = altered("usual", "CREATE INDEX plain ON hydra.event (event_type, tenant_id)");
    assert!(!inserts_by_sql(&bench));
    bench.run("CREATE INDEX over_an_expression ON hydra.event ((lower(event_type)))");
    assert!(inserts_by_sql(&bench));
    bench.run("DROP INDEX hydra.over_an_expression");
    assert!(!inserts_by_sql(&bench));
}

/// Returns whether an emit runs an INSERT, by the statements that are parsed.
#[track_caller]
fn inserts_by_sql(bench: &Bench) -> bool {
    let psql = bench
        .cluster
        .program("psql")
        .args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", &bench.database])
        .args(["-c", "SET debug_print_parse = on; SET debug_pretty_print = off; SET client_min_messages = log"])
        .args(["-c", "BEGIN", "-c", &crate::emit("parsed"), "-c", "ROLLBACK"])
        .output()
        .expect("psql starts");
    let shown = String::from_utf8_lossy(&psql.stderr);
    assert!(psql.status.success() && shown.contains(":commandType 1 "), "a SELECT calls webhook_emit: {shown}");
    shown.contains(":commandType 3 ")
}
