//! What only superusers may do, and planted code that runs in the dispatcher.

use testkit::receiver::Receiver;
use testkit::{Bench, Cluster, Need, lacks, refusal, run, subscribe};

use crate::{PATH, PEOPLE, assert_delivers, bench, cluster, loot};

/// What only a superuser can do.
const SUPERUSERS_ONLY: &[(&str, &str)] = &[
    // Code that would run as the roles that use the extension's tables, above all as the worker.
    ("a trigger", "CREATE TRIGGER spy AFTER INSERT ON hydra.attempt FOR EACH ROW EXECUTE FUNCTION public.spy()"),
    ("a rule", "CREATE RULE spy AS ON INSERT TO hydra.attempt DO ALSO SELECT public.loot('rule')"),
    ("a policy", "CREATE POLICY spy ON hydra.event USING (public.loot('policy'))"),
    ("row security", "ALTER TABLE hydra.event ENABLE ROW LEVEL SECURITY"),
    ("a default", "ALTER TABLE hydra.attempt ALTER error SET DEFAULT public.leak('default')"),
    ("a check", "ALTER TABLE hydra.delivery ADD CHECK (public.loot(body))"),
    ("an index over an expression", "CREATE INDEX ON hydra.delivery (public.leak(body))"),
    ("statistics", "CREATE STATISTICS public.spy ON secret, prefix FROM hydra.signing_secret"),
    ("a child table", "CREATE TABLE public.child () INHERITS (hydra.event)"),
    ("a foreign key", "CREATE TABLE public.oracle (id bigint REFERENCES hydra.subscription)"),
    ("a publication", "CREATE PUBLICATION spy FOR TABLE hydra.signing_secret"),
    ("a publication of the schema", "CREATE PUBLICATION spy FOR TABLES IN SCHEMA hydra"),
    ("another start of the ids", "SELECT setval('hydra.event_id_seq', 1)"),
    ("an event trigger", "CREATE EVENT TRIGGER spy ON ddl_command_end EXECUTE FUNCTION public.spy_on_ddl()"),
    (
        "a cast between types that the extension uses",
        "CREATE CAST (jsonpath AS text) WITH FUNCTION public.leak(jsonpath)",
    ),
    ("an operator class", "CREATE OPERATOR CLASS public.spy FOR TYPE int8 USING hash AS OPERATOR 1 ="),
    ("a watch", "SELECT hydra.webhook_watch('private.salary', 'ticket.created', 'insert')"),
    // The extension's objects changed, taken over or copied.
    ("a table taken over", "ALTER TABLE hydra.event OWNER TO CURRENT_USER"),
    ("a table moved away", "ALTER TABLE hydra.event SET SCHEMA public"),
    ("a view without its barrier", "ALTER VIEW hydra.webhook_failed RESET (security_barrier)"),
    ("a view in the schema of the extension", "CREATE VIEW hydra.mine AS SELECT 1"),
    (
        "a function replaced",
        "CREATE OR REPLACE FUNCTION hydra._keep_to_its_cluster() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
    ),
    ("a function overloaded", "CREATE FUNCTION hydra.webhook_retry(text) RETURNS void LANGUAGE sql AS ''"),
    (
        "a function moved in",
        "CREATE FUNCTION public.mine() RETURNS void LANGUAGE sql AS ''; ALTER FUNCTION public.mine() SET SCHEMA hydra",
    ),
    ("another search_path", "ALTER FUNCTION hydra.webhook_retry SET search_path = public"),
    ("a definer function", "ALTER FUNCTION hydra.webhook_watch SECURITY DEFINER"),
    ("a member of the extension", "CREATE TABLE public.mine (); ALTER EXTENSION hydra_webhooks ADD TABLE public.mine"),
    ("a table let go", "ALTER EXTENSION hydra_webhooks DROP TABLE hydra.signing_secret"),
    (
        "the library under another name",
        "CREATE FUNCTION public.mine() RETURNS text AS '$libdir/hydra_webhooks', '_new_secret_wrapper' LANGUAGE c",
    ),
    // Another role.
    ("the worker's role", "SET ROLE hydra_worker"),
    ("the worker's session", "SET SESSION AUTHORIZATION hydra_worker"),
    ("the owner's session", "SET SESSION AUTHORIZATION postgres"),
    ("membership in the worker's role", "GRANT hydra_worker TO CURRENT_USER"),
    ("another member of the admins", "GRANT hydra_admin TO stranger"),
    ("a password of the worker", "ALTER ROLE hydra_worker PASSWORD 'known'"),
    ("a setting of the worker", "ALTER ROLE hydra_worker SET search_path = public"),
    ("a setting of the worker here", "ALTER ROLE hydra_worker IN DATABASE refused SET search_path = public"),
    ("what the worker owns", "REASSIGN OWNED BY hydra_worker TO CURRENT_USER"),
    ("the rights of the worker", "DROP OWNED BY hydra_worker"),
    ("new objects for all", "ALTER DEFAULT PRIVILEGES FOR ROLE postgres GRANT ALL ON TABLES TO PUBLIC"),
    ("secrets for all", "GRANT SELECT ON hydra.signing_secret TO PUBLIC"),
    // Settings.
    ("triggers off", "SET session_replication_role = replica"),
    (
        "a setting of a function",
        "CREATE FUNCTION public.mine() RETURNS void LANGUAGE sql SET hydra_webhooks.on_entity_error = error AS ''",
    ),
    ("a setting of the attacker's role", "ALTER ROLE CURRENT_USER SET hydra_webhooks.max_entity_size = '16MB'"),
    ("a setting of the database", "ALTER DATABASE refused SET hydra_webhooks.on_entity_error = error"),
    ("a library for all sessions", "ALTER DATABASE refused SET session_preload_libraries = 'hydra_webhooks'"),
    ("the place of the keys", "SHOW hydra_webhooks.key_file"),
    // Other ways to read secrets.
    ("a table as XML", "SELECT table_to_xml('hydra.signing_secret', true, true, '')"),
    ("words of a table", "SELECT ts_stat('SELECT to_tsvector(secret) FROM hydra.signing_secret')"),
    ("a view over secrets", "CREATE VIEW public.mine AS SELECT secret FROM hydra.signing_secret; TABLE public.mine"),
    ("the place of a row", "SELECT currtid2('hydra.signing_secret', '(0,1)')"),
    ("a number of the queue", "SELECT nextval('hydra.event_id_seq')"),
    ("a file of the server", "SELECT pg_read_file('postgresql.conf')"),
    ("the dispatcher's statement", "SELECT pg_cancel_backend(pid) FROM public.dispatcher"),
];

#[test]
fn what_only_superusers_may_do_is_refused_to_all_other_roles() {
    let Bench { client: mut superuser, receiver, .. } = bench("refused");
    run(
        &mut superuser,
        "CREATE FUNCTION spy() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM public.loot('trigger'); RETURN NEW; END $$;
         CREATE FUNCTION spy_on_ddl() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM public.loot('ddl'); END $$;
         CREATE FUNCTION leak(text) RETURNS text IMMUTABLE LANGUAGE sql AS 'SELECT $1';
         CREATE FUNCTION leak(jsonpath) RETURNS text IMMUTABLE LANGUAGE sql AS $$ SELECT 'path' $$;
         CREATE SCHEMA private; CREATE TABLE private.salary (id int); GRANT USAGE ON SCHEMA private TO PUBLIC",
    );
    let dispatcher = cluster().dispatcher_pid("refused");
    run(
        &mut superuser,
        &format!("CREATE VIEW dispatcher AS SELECT {dispatcher} AS pid; GRANT SELECT ON dispatcher TO PUBLIC"),
    );
    let mut people = PEOPLE.map(|role| (role, cluster().connect_as("refused", role)));
    let lacks_xml = lacks(&mut superuser, Need::Xml);
    for (what, attack) in SUPERUSERS_ONLY.iter().filter(|(what, _)| !(lacks_xml && what.contains("XML"))) {
        // A superuser can do this, so missing rights are the only reason for the refusals.
        run(&mut superuser, &format!("BEGIN; {attack}; ROLLBACK"));
        for (role, session) in &mut people {
            let refusal = refusal(session, attack);
            assert_eq!(refusal.code, "42501", "{role} and {what}: {refusal:?}");
        }
    }
    assert_delivers(&mut superuser, &receiver);
    assert!(loot(&mut superuser).is_empty());
    println!("{} attacks by each of {} people", SUPERUSERS_ONLY.len(), PEOPLE.len());
}

/// What the worker may not do. Code that runs as the worker tries it.
const BEYOND_THE_WORKER: &[&str] = &[
    "SET LOCAL ROLE postgres",
    "SET LOCAL ROLE hydra_admin",
    "SET LOCAL SESSION AUTHORIZATION postgres",
    "SET LOCAL session_replication_role = replica",
    "ALTER ROLE stranger SUPERUSER",
    "ALTER ROLE hydra_worker SUPERUSER",
    "GRANT hydra_admin TO stranger",
    "CREATE ROLE spy",
    "CREATE SCHEMA spy",
    "CREATE TABLE public.spy ()",
    "CREATE FUNCTION public.spy() RETURNS text AS '$libdir/hydra_webhooks', '_new_secret_wrapper' LANGUAGE c",
    "COPY (SELECT) TO PROGRAM 'cat >/dev/null'",
    "COPY (SELECT) TO '/dev/null'",
    "SELECT pg_read_file('postgresql.conf')",
    "SELECT lo_import('/dev/null')",
    "TABLE private.salary",
    "GRANT SELECT ON private.salary TO stranger",
    "UPDATE hydra.subscription SET url = url",
    "UPDATE hydra.signing_secret SET secret = secret",
    "DELETE FROM hydra.identity",
    "DELETE FROM hydra.event_type",
    "TRUNCATE hydra.delivery",
    "ALTER TABLE hydra.event DISABLE TRIGGER ALL",
    "SELECT hydra.webhook_emit('ticket.created', '{}')",
    "SELECT hydra.webhook_pause(1)",
    "ALTER EXTENSION hydra_webhooks UPDATE",
];

#[test]
fn code_that_runs_in_the_dispatcher_has_no_superuser_rights() {
    let Bench { client: mut superuser, receiver, .. } = bench("infected");
    run(&mut superuser, "CREATE SCHEMA private; CREATE TABLE private.salary (id int)");
    for deed in BEYOND_THE_WORKER {
        run(&mut superuser, &format!("BEGIN; {deed}; ROLLBACK"));
    }
    // A superuser has to make this mistake first.
    run(&mut superuser, "GRANT USAGE ON SCHEMA hydra TO stranger; GRANT TRIGGER ON hydra.attempt TO stranger");
    let mut stranger = cluster().connect_as("infected", "stranger");
    let deeds: Vec<String> = BEYOND_THE_WORKER.iter().map(|deed| format!("$deed${deed}$deed$")).collect();
    run(
        &mut stranger,
        &format!(
            "CREATE FUNCTION infect() RETURNS trigger LANGUAGE plpgsql AS $$
             DECLARE
                 deed text;
             BEGIN
                 RESET ROLE;
                 RESET SESSION AUTHORIZATION;
                 PERFORM public.loot('trigger');
                 FOREACH deed IN ARRAY ARRAY[{}] LOOP
                     BEGIN
                         EXECUTE deed;
                         PERFORM public.loot(deed);
                     EXCEPTION WHEN insufficient_privilege THEN NULL;
                     END;
                 END LOOP;
                 RETURN NEW;
             END $$;
             CREATE TRIGGER infect BEFORE INSERT ON hydra.attempt FOR EACH ROW EXECUTE FUNCTION infect()",
            deeds.join(", ")
        ),
    );
    assert_delivers(&mut superuser, &receiver);
    assert_eq!(loot(&mut superuser), ["trigger as hydra_worker in hydra_webhooks dispatcher"]);
}

#[test]
fn settings_of_the_owner_of_a_database_do_not_change_the_role_of_its_dispatcher() {
    // A separate cluster, since roles belong to the whole cluster.
    let cluster = Cluster::start(&[]);
    let mut superuser = cluster.connect("postgres");
    run(&mut superuser, "CREATE ROLE landlord LOGIN; CREATE ROLE tenant ADMIN landlord");
    run(&mut superuser, "CREATE DATABASE owned OWNER landlord");
    let mut superuser = cluster.connect("owned");
    run(&mut superuser, "CREATE EXTENSION hydra_webhooks");
    let receiver = Receiver::start();
    subscribe(&mut superuser, &receiver.url(PATH), "ticket.created", &["retry_schedule => '{0.1 s}'"]);
    let mut landlord = cluster.connect_as("owned", "landlord");
    run(&mut landlord, "GRANT tenant TO hydra_worker");
    for setting in [
        "role = tenant",
        "standard_conforming_strings = off",
        "transform_null_equals = on",
        "array_nulls = off",
        "client_encoding = LATIN1",
        "default_transaction_deferrable = on",
        "quote_all_identifiers = on",
        "extra_float_digits = -15",
        "enable_indexscan = off",
    ] {
        run(&mut landlord, &format!("ALTER DATABASE owned SET {setting}"));
    }
    let former = cluster.dispatcher_pid("owned");
    run(&mut superuser, &format!("SELECT pg_terminate_backend({former}, 10000)"));
    cluster.new_dispatcher_pid("owned", Some(former));
    assert_delivers(&mut superuser, &receiver);
}
