//! Attacks: what people with fewer rights than a superuser try in order to get more. Whatever code of theirs is run by
//! somebody else writes into `loot` as whom it ran, and the dispatcher delivers through it all.

use std::fs;
use std::sync::OnceLock;

use postgres::{Client, NoTls};
use testkit::cluster::{Cluster, wait_until};
use testkit::receiver::{Answer, Receiver};
use testkit::{PATIENCE, ask, refusal, refused, run, start_shared_cluster, subscribe, wait_for_empty_queue};

const PATH: &str = "/";

/// Each has a session of their own, may create objects in the schema `public`, and is what the name says.
const PEOPLE: [&str; 6] = ["stranger", "emitter", "member", "analyst", "admin", "landlord"];

const LOOT: &str = "
    CREATE TABLE public.loot (what text, who text, process text);
    GRANT INSERT ON public.loot TO PUBLIC;
    CREATE FUNCTION public.loot(what text) RETURNS boolean LANGUAGE plpgsql SET search_path = pg_catalog AS $$
    BEGIN
        INSERT INTO public.loot
        SELECT what, current_user, backend_type FROM pg_stat_activity WHERE pid = pg_backend_pid();
        RETURN true;
    END $$";

fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| {
        let cluster = start_shared_cluster(&[]);
        let mut superuser = cluster.connect("postgres");
        run(&mut superuser, "CREATE ROLE stranger LOGIN; CREATE ROLE landlord LOGIN");
        for role in ["emitter", "member", "analyst", "admin"] {
            run(&mut superuser, &format!("CREATE ROLE {role} LOGIN IN ROLE hydra_{role}"));
        }
        cluster
    })
}

/// A database that belongs to the landlord, without the extension.
fn empty_database(name: &str) -> Client {
    run(&mut cluster().connect("postgres"), &format!("CREATE DATABASE {name} OWNER landlord"));
    let mut superuser = cluster().connect(name);
    run(&mut superuser, LOOT);
    for role in PEOPLE {
        run(&mut superuser, &format!("GRANT CREATE ON SCHEMA public TO {role}"));
    }
    superuser
}

/// The same with the extension, and somebody who receives what is emitted.
fn database(name: &str) -> (Client, Receiver) {
    let mut superuser = empty_database(name);
    run(&mut superuser, "CREATE EXTENSION hydra_webhooks");
    let receiver = Receiver::start();
    let (_, secret) =
        subscribe(&mut superuser, &receiver.url(PATH), "ticket.created", &["retry_schedule => '{0.1 s}'"]);
    receiver.secret(PATH, &secret);
    (superuser, receiver)
}

/// Whatever is planted: an event arrives, at its second attempt, so that the dispatcher uses all its tables.
#[track_caller]
fn assert_delivers(client: &mut Client, receiver: &Receiver) {
    receiver.clear();
    receiver.answer_first(PATH, 1, Answer::status(500));
    run(client, "SELECT hydra.webhook_emit('ticket.created', '{}')");
    receiver.wait_for(PATH, 2, PATIENCE);
    wait_for_empty_queue(client);
}

/// As whom planted code ran.
fn loot(superuser: &mut Client) -> Vec<String> {
    let rows = superuser.query(
        "SELECT DISTINCT pg_catalog.concat_ws(' ', what, 'as', who, 'in', process) FROM public.loot ORDER BY 1",
        &[],
    );
    rows.expect("loot can be read").iter().map(|row| row.get(0)).collect()
}

// ---- what is refused ----------------------------------------------------------------------------------------------------

/// What only a superuser can do.
const SUPERUSERS_ONLY: &[(&str, &str)] = &[
    // Code that would run as whoever uses our tables, the worker first of all.
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
    ("numbers anew", "SELECT setval('hydra.event_id_seq', 1)"),
    ("an event trigger", "CREATE EVENT TRIGGER spy ON ddl_command_end EXECUTE FUNCTION public.spy_on_ddl()"),
    ("a cast between our types", "CREATE CAST (jsonpath AS text) WITH FUNCTION public.leak(jsonpath)"),
    ("an operator class", "CREATE OPERATOR CLASS public.spy FOR TYPE int8 USING hash AS OPERATOR 1 ="),
    ("a watch", "SELECT hydra.webhook_watch('private.salary', 'ticket.created', 'insert')"),
    // Our objects changed, taken or doubled.
    ("a table taken over", "ALTER TABLE hydra.event OWNER TO CURRENT_USER"),
    ("a table moved away", "ALTER TABLE hydra.event SET SCHEMA public"),
    ("a view without its barrier", "ALTER VIEW hydra.webhook_failed RESET (security_barrier)"),
    ("a view in our schema", "CREATE VIEW hydra.mine AS SELECT 1"),
    (
        "a function replaced",
        "CREATE OR REPLACE FUNCTION hydra._keep_to_its_cluster() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
    ),
    ("a function overloaded", "CREATE FUNCTION hydra.webhook_retry(text) RETURNS void LANGUAGE sql AS ''"),
    (
        "a function moved in",
        "CREATE FUNCTION public.mine() RETURNS void LANGUAGE sql AS ''; ALTER FUNCTION public.mine() SET SCHEMA hydra",
    ),
    ("another search_path", "ALTER FUNCTION hydra.webhook_retry(uuid) SET search_path = public"),
    ("a definer function", "ALTER FUNCTION hydra.webhook_watch SECURITY DEFINER"),
    ("a member of the extension", "CREATE TABLE public.mine (); ALTER EXTENSION hydra_webhooks ADD TABLE public.mine"),
    ("a table let go", "ALTER EXTENSION hydra_webhooks DROP TABLE hydra.signing_secret"),
    (
        "our code under another name",
        "CREATE FUNCTION public.mine() RETURNS text AS '$libdir/hydra_webhooks', '_new_secret_wrapper' LANGUAGE c",
    ),
    // Another role.
    ("the worker's role", "SET ROLE hydra_worker"),
    ("the worker's session", "SET SESSION AUTHORIZATION hydra_worker"),
    ("the owner's session", "SET SESSION AUTHORIZATION postgres"),
    ("a worker of one's own", "GRANT hydra_worker TO CURRENT_USER"),
    ("an admin of one's own", "GRANT hydra_admin TO stranger"),
    ("a password of the worker", "ALTER ROLE hydra_worker PASSWORD 'known'"),
    ("a setting of the worker", "ALTER ROLE hydra_worker SET search_path = public"),
    ("a setting of the worker here", "ALTER ROLE hydra_worker IN DATABASE refused SET search_path = public"),
    ("what the worker owns", "REASSIGN OWNED BY hydra_worker TO CURRENT_USER"),
    ("what the worker may", "DROP OWNED BY hydra_worker"),
    ("new objects for all", "ALTER DEFAULT PRIVILEGES FOR ROLE postgres GRANT ALL ON TABLES TO PUBLIC"),
    ("secrets for all", "GRANT SELECT ON hydra.signing_secret TO PUBLIC"),
    // Settings.
    ("triggers off", "SET session_replication_role = replica"),
    (
        "a setting of a function",
        "CREATE FUNCTION public.mine() RETURNS void LANGUAGE sql SET hydra_webhooks.on_entity_error = error AS ''",
    ),
    ("a setting of one's own", "ALTER ROLE CURRENT_USER SET hydra_webhooks.max_entity_size = '16MB'"),
    ("a setting of the database", "ALTER DATABASE refused SET hydra_webhooks.on_entity_error = error"),
    ("a library for all sessions", "ALTER DATABASE refused SET session_preload_libraries = 'hydra_webhooks'"),
    ("where keys are", "SHOW hydra_webhooks.key_file"),
    // Secrets by side doors.
    ("a table as XML", "SELECT table_to_xml('hydra.signing_secret', true, true, '')"),
    ("words of a table", "SELECT ts_stat('SELECT to_tsvector(secret) FROM hydra.signing_secret')"),
    ("a view over secrets", "CREATE VIEW public.mine AS SELECT secret FROM hydra.signing_secret; TABLE public.mine"),
    ("the place of a row", "SELECT currtid2('hydra.signing_secret', '(0,1)')"),
    ("a number of the queue", "SELECT nextval('hydra.event_id_seq')"),
    ("a file of the server", "SELECT pg_read_file('postgresql.conf')"),
    ("the dispatcher's statement", "SELECT pg_cancel_backend(pid) FROM public.dispatcher"),
];

#[test]
fn what_is_a_superusers_is_refused_to_everybody_else() {
    let (mut superuser, receiver) = database("refused");
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
    for (what, attack) in SUPERUSERS_ONLY {
        // Whoever may do all can do this too: it is for nothing else that the others are refused.
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

// ---- doubles -------------------------------------------------------------------------------------------------------------

/// A double of every function, operator, type and table of Postgres, in the schema `evil`.
const DOUBLES: &str = r#"
    CREATE SCHEMA evil;
    CREATE FUNCTION evil.plant() RETURNS bigint LANGUAGE plpgsql SET search_path = pg_catalog AS $plant$
    DECLARE
        original record;
        planted bigint := 0;
    BEGIN
        FOR original IN
            SELECT proname AS name, pg_get_function_identity_arguments(oid) AS arguments,
                   CASE WHEN proretset THEN 'SETOF ' ELSE '' END || format_type(prorettype, NULL) AS result,
                   CASE WHEN proretset THEN '' ELSE 'NULL' END AS value
            FROM pg_proc
            WHERE pronamespace = 'pg_catalog'::regnamespace AND prorettype <> 'trigger'::regtype
        LOOP
            BEGIN
                EXECUTE format($$CREATE FUNCTION evil.%I(%s) RETURNS %s LANGUAGE plpgsql AS
                                 'BEGIN PERFORM public.loot(''function %s''); RETURN %s; END'$$,
                               original.name, original.arguments, original.result, original.name, original.value);
                planted := planted + 1;
            EXCEPTION WHEN OTHERS THEN NULL; -- Some take or return what no such function can.
            END;
        END LOOP;
        FOR original IN
            SELECT format('CREATE OPERATOR evil.%s (FUNCTION = evil.%I%s%s)', o.oprname, p.proname,
                          ', LEFTARG = ' || nullif(o.oprleft, 0)::regtype, ', RIGHTARG = ' || o.oprright::regtype) AS statement
            FROM pg_operator AS o JOIN pg_proc AS p ON p.oid = o.oprcode
            WHERE o.oprnamespace = 'pg_catalog'::regnamespace
            UNION ALL
            SELECT format('CREATE TABLE evil.%I ()', relname) FROM pg_class
            WHERE relnamespace = 'pg_catalog'::regnamespace AND relkind IN ('r', 'v')
            UNION ALL
            SELECT format('CREATE TABLE evil.%I ()', name)
            FROM unnest('{subscription,event,event_type,delivery,attempt,signing_secret,identity,preset}'::text[]) AS name
            UNION ALL
            SELECT format('CREATE DOMAIN evil.%I AS pg_catalog.%I CHECK (public.loot(''type %s''))', typname, typname, typname)
            FROM pg_type
            WHERE typnamespace = 'pg_catalog'::regnamespace AND typtype = 'b' AND typrelid = 0 AND typname !~ '^_'
        LOOP
            BEGIN
                EXECUTE original.statement;
                planted := planted + 1;
            EXCEPTION WHEN OTHERS THEN NULL; -- Of what could not be planted above.
            END;
        END LOOP;
        RETURN planted;
    END
    $plant$"#;

/// What people can ask of us, at a new subscription of that number.
fn calls(url: &str, id: i64) -> [String; 16] {
    [
        format!("SELECT hydra.webhook_create('{url}', '{{ticket.*}}', retry_schedule => '{{0.1 s}}', filter => '$.id')"),
        format!("SELECT hydra.webhook_update({id}, name => 'x', event_types => '{{ticket.*,part.*}}', signatures => '{{hydra}}')"),
        // Before a function with a search_path of its own has had subscriptions read.
        "SELECT hydra.webhook_emit('ticket.created', '{\"id\": \"b\"}')".into(),
        format!("SELECT hydra.webhook_would_match({id}, 'ticket.created', '{{}}')"),
        format!("SELECT hydra.webhook_rotate_secret({id}, '1 minute')"),
        format!("SELECT hydra.webhook_pause({id})"),
        format!("SELECT hydra.webhook_resume({id})"),
        format!("SELECT hydra.webhook_send_test({id})"),
        format!("SELECT hydra.webhook_replay({id}, '-infinity', 'infinity')"),
        "SELECT hydra.webhook_register_event_type('order.paid', 'When it was paid', 'order', 'number')".into(),
        "SELECT hydra.webhook_verify('a', 'b', 'c')".into(),
        "SELECT hydra.webhook_adopt(true)".into(),
        "DROP TABLE IF EXISTS public.ticket; CREATE TABLE public.ticket (id pg_catalog.text, details pg_catalog.jsonb)".into(),
        "SELECT hydra.webhook_watch('public.ticket', 'ticket.created', 'insert or update', columns => '{id}')".into(),
        "SELECT hydra.webhook_watch('public.ticket', 'part.created', 'insert', level => 'statement', condition => 'true')".into(),
        "INSERT INTO public.ticket VALUES ('a', '{\"b\": [1]}')".into(),
    ]
}

/// They are there before the extension is, in front of Postgres in every session, and whoever calls ours has all its roles.
#[test]
fn nothing_of_ours_ever_calls_a_double_of_something_in_postgres() {
    let mut superuser = empty_database("doubled");
    run(&mut superuser, "CREATE ROLE impostor LOGIN; ALTER DATABASE doubled OWNER TO impostor");
    run(&mut superuser, "GRANT hydra_emitter, hydra_admin, hydra_analyst TO impostor");
    let mut impostor = cluster().connect_as("doubled", "impostor");
    run(&mut impostor, DOUBLES);
    let planted: i64 = ask(&mut impostor, "SELECT evil.plant()");
    assert!(planted > 3000, "{planted} doubles");
    run(&mut impostor, "ALTER DATABASE doubled SET search_path = evil, pg_temp, public, pg_catalog");
    let mut victim = cluster().connect("doubled");
    run(&mut superuser, "GRANT USAGE ON SCHEMA evil TO PUBLIC");
    run(&mut victim, "SELECT now()");
    assert_eq!(
        loot(&mut superuser),
        ["function now as postgres in client backend"],
        "they are called by whoever can be lured"
    );
    run(&mut superuser, "TRUNCATE loot");

    run(&mut victim, "CREATE EXTENSION hydra_webhooks");
    let receiver = Receiver::start();
    let mut impostor = cluster().connect_as("doubled", "impostor");
    // Searched first, even where it is not named.
    run(
        &mut impostor,
        "CREATE TEMPORARY TABLE subscription (); CREATE TEMPORARY TABLE event (); CREATE TEMPORARY TABLE pg_class ()",
    );
    for (caller, id) in [(&mut impostor, 1), (&mut victim, 2)] {
        receiver.answer_first(PATH, 3, Answer::status(500));
        calls(&receiver.url(PATH), id).iter().for_each(|call| run(caller, call));
        wait_for_empty_queue(&mut superuser);
        for view in
            ["subscriptions", "event_types", "pending", "failed", "history", "stats", "watches", "worker_status"]
        {
            run(caller, &format!("TABLE hydra.webhook_{view}"));
        }
        run(caller, "SELECT hydra.webhook_unwatch('public.ticket', 'part.created')");
        run(caller, &format!("SELECT hydra.webhook_delete({id})"));
    }
    assert_eq!(loot(&mut superuser), [""; 0]);
    assert!(receiver.received(PATH) > 2 * (1 + 3), "each time a test, three events, and retries");
    println!("{planted} doubles");
}

#[test]
fn a_schema_prepared_by_somebody_else_is_refused() {
    let mut superuser = empty_database("squatted");
    let mut landlord = cluster().connect_as("squatted", "landlord");
    run(&mut landlord, "CREATE SCHEMA hydra");
    refused(&mut superuser, "CREATE EXTENSION hydra_webhooks", "42P06");
    run(&mut superuser, "ALTER SCHEMA hydra OWNER TO postgres; GRANT ALL ON SCHEMA hydra TO landlord");
    for object in [
        "FUNCTION hydra._new_secret() RETURNS text LANGUAGE sql AS $$ SELECT 'known' $$",
        "VIEW hydra.webhook_pending AS SELECT 1",
        "DOMAIN hydra.text AS text CHECK (public.loot(VALUE))",
        "OPERATOR hydra.= (FUNCTION = texteq, LEFTARG = text, RIGHTARG = text)",
    ] {
        run(&mut landlord, &format!("CREATE {object}"));
        refused(&mut superuser, "CREATE EXTENSION hydra_webhooks", "42P06");
        run(&mut superuser, "DROP SCHEMA hydra CASCADE; CREATE SCHEMA hydra; GRANT ALL ON SCHEMA hydra TO landlord");
    }
    // An empty one becomes ours alone.
    run(&mut superuser, "CREATE EXTENSION hydra_webhooks");
    assert_eq!(refusal(&mut landlord, "CREATE VIEW hydra.mine AS SELECT 1").code, "42501");
    assert_eq!(loot(&mut superuser), [""; 0]);
}

// ---- the dispatcher ------------------------------------------------------------------------------------------------------

/// What the worker may not do, for code that got into it.
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
fn code_that_gets_into_the_dispatcher_finds_no_superuser_there() {
    let (mut superuser, receiver) = database("infected");
    run(&mut superuser, "CREATE SCHEMA private; CREATE TABLE private.salary (id int)");
    for deed in BEYOND_THE_WORKER {
        run(&mut superuser, &format!("BEGIN; {deed}; ROLLBACK"));
    }
    // Only by a mistake of a superuser's.
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
fn the_owner_of_a_database_cannot_make_its_dispatcher_somebody_else() {
    // Of its own, as roles are everybody's.
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

// ---- sessions ------------------------------------------------------------------------------------------------------------

/// What is done as the owner of our tables can be made to fail at that very moment.
#[test]
fn an_error_in_the_midst_of_ours_leaves_no_rights_behind() {
    let (mut superuser, _receiver) = database("interrupted");
    let mut blocker = cluster().connect("interrupted");
    run(&mut blocker, "BEGIN; LOCK TABLE hydra.subscription");
    for (role, call) in [
        ("emitter", "hydra.webhook_emit('ticket.created', '{}')"),
        ("admin", "hydra.webhook_send_test(1)"),
        ("admin", "hydra.webhook_pause(1)"),
        ("admin", "hydra.webhook_would_match(1, 'ticket.created', '{}')"),
    ] {
        let mut person = cluster().connect_as("interrupted", role);
        run(&mut person, "SET lock_timeout = '50ms'");
        run(
            &mut person,
            &format!(
                "DO $$ BEGIN PERFORM {call}; EXCEPTION WHEN lock_not_available THEN PERFORM public.loot('handler'); END $$"
            ),
        );
        assert_eq!(refusal(&mut person, &format!("SELECT {call}")).code, "55P03");
        run(&mut person, "SELECT public.loot('next statement')");
        assert_eq!(refusal(&mut person, "TABLE hydra.signing_secret").code, "42501");
    }
    let as_themselves =
        ["handler as admin", "handler as emitter", "next statement as admin", "next statement as emitter"];
    assert_eq!(loot(&mut superuser), as_themselves.map(|what| format!("{what} in client backend")));
}

#[test]
fn a_function_that_looks_before_the_view_does_sees_no_more_than_the_view_shows() {
    let (mut superuser, receiver) = database("peeped");
    receiver.answer("/failing", Answer::status(500));
    let url = receiver.url("/failing");
    let header = r#"headers => '{"X-Key": "bait"}'"#;
    let (_, secret) = subscribe(&mut superuser, &url, "part.created", &["retry_schedule => '{1 h}'", header]);
    subscribe(&mut superuser, &url, "part.deleted", &["retry_schedule => '{}'"]);
    run(
        &mut superuser,
        "SELECT hydra.webhook_emit('part.created', '{\"id\": \"bait\"}'), hydra.webhook_emit('part.deleted', '{}')",
    );
    wait_until("one waits and one is given up", PATIENCE, || {
        ask(&mut superuser, "SELECT count(*) = 2 FROM hydra.webhook_history")
    });
    let mut analyst = cluster().connect_as("peeped", "analyst");
    // So cheap that it is called before all that a view asks itself, and of all rows.
    run(
        &mut analyst,
        "SET enable_indexscan = off; SET enable_indexonlyscan = off; SET enable_bitmapscan = off;
         CREATE TABLE public.seen (what text);
         CREATE FUNCTION public.peep(text) RETURNS boolean LANGUAGE plpgsql COST 0.0001 AS
             $$ BEGIN INSERT INTO public.seen VALUES ($1); RETURN true; END $$",
    );
    let columns = "SELECT attrelid::regclass || ' WHERE public.peep(' || quote_ident(attname) || '::text)'
                   FROM pg_attribute JOIN pg_class AS c ON c.oid = attrelid
                   WHERE relnamespace = 'hydra'::regnamespace AND relkind = 'v' AND attnum > 0";
    let columns = superuser.query(columns, &[]).expect("a query");
    assert!(columns.len() > 50, "{} columns", columns.len());
    let mut peep = |superuser: &mut Client| -> (bool, bool) {
        for column in &columns {
            run(&mut analyst, &format!("SELECT FROM {}", column.get::<_, String>(0)));
        }
        let seen = |what: &str| format!("SELECT count(*) > 0 FROM public.seen WHERE what ~ '{what}'");
        assert!(!ask::<bool>(superuser, &seen(&secret[12..40].replace('+', "."))));
        (ask(superuser, &seen("part.deleted")), ask(superuser, &seen("bait")))
    };
    assert_eq!(peep(&mut superuser), (true, false));
    // It is the barrier that keeps them from it.
    run(&mut superuser, "ALTER VIEW hydra.webhook_failed RESET (security_barrier)");
    assert_eq!(peep(&mut superuser), (true, true));
    // What the planner knows of the tables is for nobody either.
    run(&mut superuser, "ANALYZE");
    assert_eq!(ask::<i64>(&mut analyst, "SELECT count(*) FROM pg_stats WHERE schemaname = 'hydra'"), 0);
}

#[test]
fn no_error_shows_a_row_that_its_reader_may_not_see() {
    let (mut superuser, receiver) = database("shown");
    run(&mut superuser, r#"SELECT hydra.webhook_update(1, headers => '{"X-Key": "bait"}')"#);
    let mut admin = cluster().connect_as("shown", "admin");
    for argument in [
        "url => 'ftp://x'",
        "url => 'http://127.0.0.1/' || repeat('x', 3000)",
        "event_types => '{}'",
        "event_types => '{nothing.at_all}'",
        "name => repeat('x', 201)",
        "tenant_id => ''",
        "preset => 'none'",
        "signatures => '{none}'",
        "headers => '[]'",
        "timeout => '1 year'",
        "retry_schedule => '{-1 s}'",
        "retry_schedule => '{{1 s},{2 s}}'",
        "max_in_flight => 0",
        "rate_limit => 0",
        "disable_after => 0",
    ] {
        for strings in ["on", "off"] {
            run(&mut admin, &format!("SET standard_conforming_strings = {strings}"));
            let refusal = refusal(&mut admin, &format!("SELECT hydra.webhook_update(1, {argument})"));
            assert!(!format!("{refusal:?}").contains("bait"), "{refusal:?}");
        }
    }
    assert_delivers(&mut superuser, &receiver);
}

#[test]
fn what_was_prepared_or_written_beforehand_has_the_rights_of_the_moment_and_of_its_owner() {
    let (mut superuser, receiver) = database("prepared");
    run(
        &mut superuser,
        "CREATE ROLE leaver LOGIN IN ROLE hydra_emitter, hydra_member; GRANT CREATE ON SCHEMA public TO leaver",
    );
    let mut leaver = cluster().connect_as("prepared", "leaver");
    run(
        &mut leaver,
        "PREPARE emit AS SELECT hydra.webhook_emit('ticket.created', '{}'); EXECUTE emit;
         CREATE VIEW public.report AS SELECT secret FROM hydra.signing_secret;
         CREATE FUNCTION public.emit() RETURNS bigint LANGUAGE sql SECURITY DEFINER BEGIN ATOMIC
             SELECT hydra.webhook_emit('ticket.created', '{}');
         END",
    );
    receiver.wait_for(PATH, 1, PATIENCE);
    run(&mut superuser, "SELECT public.emit(); REVOKE hydra_emitter FROM leaver");
    for attack in ["EXECUTE emit", "SELECT public.emit()"] {
        assert_eq!(refusal(&mut leaver, attack).code, "42501", "{attack}");
    }
    // Whoever reads it, it asks for its owner.
    assert_eq!(refusal(&mut superuser, "TABLE public.report").code, "42501");
    assert_eq!(refusal(&mut superuser, "SELECT public.emit()").code, "42501");
}

#[test]
fn code_on_a_watched_table_runs_as_who_changes_it_and_never_as_the_worker() {
    let (mut superuser, receiver) = database("watched");
    let mut owner = cluster().connect_as("watched", "emitter");
    run(
        &mut owner,
        "CREATE FUNCTION act(what text) RETURNS text LANGUAGE plpgsql AS
             $$ BEGIN RESET ROLE; RESET SESSION AUTHORIZATION; PERFORM public.loot(what); RETURN what; END $$;
         CREATE FUNCTION index_it(text) RETURNS text IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN RETURN act('index'); END $$;
         CREATE TYPE mood AS ENUM ('fine');
         CREATE FUNCTION mood_to_json(mood) RETURNS json LANGUAGE sql AS $$ SELECT to_json(act('cast')) $$;
         CREATE CAST (mood AS json) WITH FUNCTION mood_to_json(mood);
         CREATE DOMAIN label AS text CHECK (act('domain') <> '');
         CREATE TABLE ticket (id text DEFAULT act('default') CHECK (act('check') <> ''), mood mood DEFAULT 'fine', label label,
                              copy text GENERATED ALWAYS AS (index_it('')) STORED);
         CREATE INDEX ON ticket (index_it(id));
         CREATE FUNCTION on_insert() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN PERFORM act('trigger'); RETURN NEW; END $$;
         CREATE TRIGGER before BEFORE INSERT ON ticket FOR EACH ROW EXECUTE FUNCTION on_insert();
         CREATE CONSTRAINT TRIGGER at_commit AFTER INSERT ON ticket DEFERRABLE INITIALLY DEFERRED
             FOR EACH ROW EXECUTE FUNCTION on_insert();
         CREATE RULE also AS ON INSERT TO ticket DO ALSO SELECT act('rule');
         CREATE POLICY own ON ticket WITH CHECK (act('policy') <> ''); ALTER TABLE ticket ENABLE ROW LEVEL SECURITY;
         SELECT hydra.webhook_watch('ticket', 'ticket.created', 'insert', $$act('condition') <> ''$$,
                                    $$to_jsonb(new) || to_jsonb(act('entity'))$$, tenant => $$act('tenant')$$);
         SELECT hydra.webhook_watch('ticket', 'ticket.resolved', 'insert', level => 'statement');
         GRANT INSERT ON ticket TO member",
    );
    run(&mut superuser, "TRUNCATE loot; SELECT hydra.webhook_update(1, event_types => '{ticket.*}')");
    let mut member = cluster().connect_as("watched", "member");
    receiver.answer_first(PATH, 2, Answer::status(500));
    run(&mut member, "INSERT INTO ticket (label) VALUES ('x')");
    receiver.wait_for(PATH, 4, PATIENCE);
    wait_for_empty_queue(&mut superuser);
    let ran =
        ["cast", "check", "condition", "default", "domain", "entity", "index", "policy", "rule", "tenant", "trigger"];
    assert_eq!(loot(&mut superuser), ran.map(|what| format!("{what} as member in client backend")));
}

/// Before the library is there, its settings are anybody's to set.
#[test]
fn settings_made_before_the_library_is_loaded_are_void_once_it_is() {
    let cluster = Cluster::start(&[
        ("shared_preload_libraries", ""),
        ("hydra_webhooks.allow_http", "off"),
        ("hydra_webhooks.allow_networks", ""),
    ]);
    run(&mut cluster.create_database("unloaded"), "CREATE ROLE admin LOGIN IN ROLE hydra_admin");
    let mut admin = cluster.connect_as("unloaded", "admin");
    run(
        &mut admin,
        "SET hydra_webhooks.allow_http = on; SET hydra_webhooks.allow_networks = '0.0.0.0/0';
         SET hydra_webhooks.max_entity_size = '16MB'; SET hydra_webhooks.on_entity_error = error",
    );
    let refusal = refusal(&mut admin, "SELECT hydra.webhook_create('http://127.0.0.1:1/', '{ticket.created}')");
    assert_eq!(refusal.code, "22023");
    for (setting, value) in
        [("allow_http", "off"), ("allow_networks", ""), ("max_entity_size", "256kB"), ("on_entity_error", "thin")]
    {
        assert_eq!(ask::<String>(&mut admin, &format!("SHOW hydra_webhooks.{setting}")), value, "{setting}");
    }
}

#[test]
fn nobody_logs_in_as_the_worker() {
    let cluster = Cluster::start(&[]);
    let mut superuser = cluster.connect("postgres");
    // Whoever may make roles made it beforehand, and knows its password.
    run(&mut superuser, "CREATE ROLE hydra_worker LOGIN PASSWORD 'known'");
    refused(&mut superuser, "CREATE EXTENSION hydra_webhooks", "55000");
    run(&mut superuser, "ALTER ROLE hydra_worker PASSWORD NULL; CREATE EXTENSION hydra_webhooks");
    let rules = cluster.data().join("pg_hba.conf");
    fs::write(rules, "local all postgres trust\nlocal all all scram-sha-256\n").expect("rules can be written");
    cluster.set(&[]);
    for password in ["", "known", "hydra_worker"] {
        wait_until(format!("{password:?} is no password of its"), PATIENCE, || {
            cluster.config().user("hydra_worker").password(password).connect(NoTls).is_err()
        });
    }
    // Which it does not need itself.
    cluster.dispatcher_pid("postgres");
}
