//! Objects with the names of functions, operators, types and tables of Postgres, which come first in the search path.

use std::env;
use std::path::Path;
use std::process::Command;

use testkit::receiver::{Answer, Receiver};
use testkit::{ask, run, wait_for_empty_queue};

use crate::{PATH, cluster, empty_database, loot};

/// Creates a double of every function, operator, type and table of Postgres in the schema `evil`.
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

/// Calls of every function that users have, for a new subscription with this id.
fn calls(url: &str, id: i64) -> [String; 16] {
    [
        format!("SELECT hydra.webhook_create('{url}', '{{ticket.*}}', retry_schedule => '{{0.1 s}}', filter => '$.id')"),
        format!("SELECT hydra.webhook_update({id}, name => 'x', event_types => '{{ticket.*,part.*}}', signatures => '{{hydra}}')"),
        // Before any function that sets search_path has read the subscriptions.
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

/// The doubles exist before the extension and precede pg_catalog in every session. The caller has all roles.
#[test]
fn the_extension_never_calls_a_double_of_an_object_of_postgres() {
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
        "other statements call the doubles"
    );
    run(&mut superuser, "TRUNCATE loot");

    run(&mut victim, "CREATE EXTENSION hydra_webhooks");
    let receiver = Receiver::start();
    let mut impostor = cluster().connect_as("doubled", "impostor");
    // pg_temp is searched first even if search_path does not name it.
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

/// It uses the search_path of its caller on purpose: a condition means what it means to the role that watches. All
/// other names in it are qualified.
const LOOKS_WHERE_ITS_CALLER_DOES: &str = "hydra.webhook_watch(source regclass,event text,operation text,condition text,entity text,columns text[],tenant text,level text,only text[],except text[])";

#[test]
fn pgspot_finds_no_fault_in_the_script_of_the_extension() {
    let mut client = cluster().connect("postgres");
    let share: String = ask(&mut client, "SELECT setting FROM pg_config WHERE name = 'SHAREDIR'");
    let script = format!("{share}/extension/hydra_webhooks--{}.sql", env!("CARGO_PKG_VERSION"));
    let python = std::env::var("HYDRA_PYTHON").expect("`make test` names the Python that has the verifiers' packages");
    let pgspot = Path::new(&python).with_file_name("pgspot");
    let found =
        Command::new(&pgspot).args(["--proc-without-search-path", LOOKS_WHERE_ITS_CALLER_DOES, &script]).output();
    let found = found.unwrap_or_else(|error| panic!("{}: {error}", pgspot.display()));
    let said = String::from_utf8_lossy(&found.stdout);
    assert!(said.contains("Errors: 0 Warnings: 0 Unknown: 0"), "{said}{}", String::from_utf8_lossy(&found.stderr));
}
