//! Who may do what: the catalogue and the deeds.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;
use std::thread;

use postgres::Client;
use testkit::cluster::{Cluster, wait_until};
use testkit::receiver::{Answer, Receiver};
use testkit::{PATIENCE, ask, refusal, refused, run, start_shared_cluster, subscribe};

const PEOPLE: [&str; 4] = ["hydra_admin", "hydra_member", "hydra_analyst", "hydra_emitter"];

const ADMIN: &[&str] = &["hydra_admin"];
const READERS: &[&str] = &["hydra_admin", "hydra_member", "hydra_analyst"];
const ANALYSTS: &[&str] = &["hydra_admin", "hydra_analyst"];
const EMITTER: &[&str] = &["hydra_emitter"];

/// What the contract gives to whom, by the names of functions and views; what is not here is given to nobody. Names
/// that do not exist yet are no fault.
const GRANTED: &[(&str, &[&str])] = &[
    ("webhook_adopt", ADMIN),
    ("webhook_cancel", ADMIN),
    ("webhook_create", ADMIN),
    ("webhook_delete", ADMIN),
    ("webhook_park", ADMIN),
    ("webhook_pause", ADMIN),
    ("webhook_register_event_type", ADMIN),
    ("webhook_replay", ADMIN),
    ("webhook_resume", ADMIN),
    ("webhook_retry", ADMIN),
    ("webhook_rotate_secret", ADMIN),
    ("webhook_seal_secrets", ADMIN),
    ("webhook_send_test", ADMIN),
    ("webhook_unpark", ADMIN),
    ("webhook_update", ADMIN),
    ("webhook_verify", ADMIN),
    ("webhook_would_match", ADMIN),
    ("webhook_emit", EMITTER),
    ("webhook_emit_row", EMITTER),
    ("webhook_emit_statement", EMITTER),
    ("webhook_watch", EMITTER),
    ("webhook_unwatch", EMITTER),
    ("webhook_subscriptions", READERS),
    ("webhook_event_types", READERS),
    ("webhook_worker_status", READERS),
    ("webhook_failed", ANALYSTS),
    ("webhook_history", ANALYSTS),
    ("webhook_pending", ANALYSTS),
    ("webhook_stats", ANALYSTS),
    ("webhook_watches", READERS),
    // A view's functions run as its reader; these tell nothing that the views do not.
    ("_worker_status", READERS),
    ("_delivery_id", ANALYSTS),
    ("_percentile", ANALYSTS),
    ("_trigger_arguments", &["hydra_admin", "hydra_member", "hydra_analyst", "hydra_emitter"]),
    ("_trigger_type", &["hydra_admin", "hydra_member", "hydra_analyst", "hydra_emitter"]),
    ("_watch_details", READERS),
    // Watching is done as the caller, step by step.
    ("_define_watch", EMITTER),
    ("_create_watch", EMITTER),
    ("_watches", EMITTER),
    ("_new_watch_name", EMITTER),
    ("_watch_operations", EMITTER),
    ("_watch_arguments", EMITTER),
    ("_check_watched", EMITTER),
    ("_check_watch", EMITTER),
    ("_check_expression", EMITTER),
    // Trying out a choice is done as the caller, too.
    ("_check_event_type", &["hydra_admin", "hydra_emitter"]),
    ("_choice", ADMIN),
    ("_filter_passes", ADMIN),
];

/// Every object of the schema with its kind and its access list, the owner's own rights left out. A function without
/// a list is one that PUBLIC may execute.
const ACCESS: &str = "
    WITH object (name, kind, acl) AS (
        SELECT proname::text, 'f', coalesce(proacl, acldefault('f', proowner)) FROM pg_proc
        WHERE pronamespace = 'hydra'::regnamespace
        UNION ALL
        SELECT relname::text, relkind::text, coalesce(relacl, acldefault(CASE relkind WHEN 'S' THEN 's' ELSE 'r' END::\"char\", relowner))
        FROM pg_class WHERE relnamespace = 'hydra'::regnamespace AND relkind IN ('r', 'v', 'm', 'p', 'S')
        UNION ALL
        SELECT c.relname || '.' || a.attname, 'column', a.attacl FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid
        WHERE c.relnamespace = 'hydra'::regnamespace AND a.attacl IS NOT NULL
        UNION ALL
        SELECT nspname::text, 'schema', coalesce(nspacl, acldefault('n', nspowner)) FROM pg_namespace WHERE nspname = 'hydra')
    SELECT object.name, object.kind, entry.privilege_type,
           CASE entry.grantee WHEN 0 THEN 'PUBLIC' ELSE entry.grantee::regrole::text END AS grantee
    FROM object, aclexplode(object.acl) AS entry
    WHERE entry.grantee <> entry.grantor OR entry.grantee = 0";

fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| {
        let cluster = start_shared_cluster(&[]);
        let mut client = cluster.connect("postgres");
        for role in PEOPLE {
            run(&mut client, &format!("CREATE ROLE person_{role} LOGIN IN ROLE {role}"));
        }
        run(&mut client, "CREATE ROLE person_nobody LOGIN");
        cluster
    })
}

struct Access {
    object: String,
    kind: String,
    privilege: String,
    grantee: String,
}

fn access(client: &mut Client) -> Vec<Access> {
    let rows = client.query(ACCESS, &[]).unwrap();
    let text = |row: &postgres::Row, column| row.get::<_, String>(column);
    rows.iter()
        .map(|row| Access { object: text(row, 0), kind: text(row, 1), privilege: text(row, 2), grantee: text(row, 3) })
        .collect()
}

fn names(client: &mut Client, sql: &str) -> Vec<String> {
    client.query(sql, &[]).unwrap().iter().map(|row| row.get(0)).collect()
}

#[test]
fn nothing_is_granted_to_public() {
    let mut client = cluster().create_database("public_has_nothing");
    let open: Vec<String> = access(&mut client)
        .iter()
        .filter(|entry| entry.grantee == "PUBLIC")
        .map(|entry| format!("{} {}", entry.privilege, entry.object))
        .collect();
    assert!(open.is_empty(), "granted to PUBLIC: {open:?}");
}

#[test]
fn nothing_is_granted_to_others_where_new_objects_are_by_default() {
    let mut superuser = cluster().connect("postgres");
    run(&mut superuser, "CREATE DATABASE generous");
    let mut client = cluster().connect("generous");
    for kind in ["TABLES", "SEQUENCES", "FUNCTIONS", "SCHEMAS"] {
        run(&mut client, &format!("ALTER DEFAULT PRIVILEGES GRANT ALL ON {kind} TO PUBLIC, person_nobody"));
    }
    run(&mut client, "CREATE EXTENSION hydra_webhooks");
    let open: BTreeSet<String> = access(&mut client)
        .iter()
        .filter(|entry| !entry.grantee.starts_with("hydra_"))
        .map(|entry| format!("{} {} {}", entry.grantee, entry.privilege, entry.object))
        .collect();
    assert!(open.is_empty(), "{open:?}");
}

#[test]
fn each_role_has_exactly_what_the_contract_gives_it() {
    let mut client = cluster().create_database("granted");
    let mut actual: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for entry in access(&mut client) {
        if entry.grantee == "hydra_worker" || entry.kind == "schema" {
            continue;
        }
        let allowed = if entry.kind == "f" { "EXECUTE" } else { "SELECT" };
        assert_eq!(entry.privilege, allowed, "{} on {}", entry.grantee, entry.object);
        actual.entry(entry.object).or_default().insert(entry.grantee);
    }
    let existing: BTreeSet<String> = names(
        &mut client,
        "SELECT proname::text FROM pg_proc WHERE pronamespace = 'hydra'::regnamespace
         UNION SELECT relname::text FROM pg_class WHERE relnamespace = 'hydra'::regnamespace AND relkind <> 'i'",
    )
    .into_iter()
    .collect();
    let expected: BTreeMap<String, BTreeSet<String>> = GRANTED
        .iter()
        .filter(|(name, _)| existing.contains(*name))
        .map(|(name, roles)| ((*name).into(), roles.iter().map(|role| (*role).into()).collect()))
        .collect();
    assert!(expected.len() > 20, "the functions have other names now");
    assert_eq!(actual, expected);

    // None of them inherits from another, or from anybody.
    let memberships = names(
        &mut client,
        "SELECT member::regrole || ' in ' || roleid::regrole FROM pg_auth_members WHERE member::regrole::text ^@ 'hydra_'",
    );
    assert!(memberships.is_empty(), "{memberships:?}");
}

/// What each role can do, tried.
#[test]
fn each_role_can_do_its_work_and_nothing_else() {
    let mut client = cluster().create_database("deeds");
    let receiver = Receiver::start();
    receiver.answer("/failing", Answer::status(500));
    let (id, _) = subscribe(&mut client, &receiver.url("/"), "ticket.created", &[]);
    let (failing, _) = subscribe(&mut client, &receiver.url("/failing"), "part.created", &["retry_schedule => '{}'"]);
    run(&mut client, "SELECT hydra.webhook_emit('part.created', '{}')");
    wait_until("a delivery is given up", PATIENCE, || {
        ask(&mut client, "SELECT count(*) = 1 FROM hydra.webhook_failed")
    });
    let delivery: String = ask(&mut client, "SELECT delivery_id::text FROM hydra.webhook_failed");
    let url = receiver.url("/");
    run(&mut client, "CREATE TABLE public.mine (id int); GRANT ALL ON public.mine TO PUBLIC");

    let deeds: Vec<(String, &[&str])> = vec![
        (format!("SELECT hydra.webhook_create('{url}', '{{ticket.created}}')"), ADMIN),
        (format!("SELECT hydra.webhook_update({id}, name => 'x')"), ADMIN),
        (format!("SELECT hydra.webhook_pause({id})"), ADMIN),
        (format!("SELECT hydra.webhook_resume({id})"), ADMIN),
        (format!("SELECT hydra.webhook_rotate_secret({id})"), ADMIN),
        (format!("SELECT hydra.webhook_send_test({id})"), ADMIN),
        (format!("SELECT hydra.webhook_retry('{delivery}')"), ADMIN),
        (format!("SELECT hydra.webhook_cancel('{delivery}')"), ADMIN),
        (format!("SELECT hydra.webhook_delete({failing})"), ADMIN),
        ("SELECT hydra.webhook_register_event_type('a.b')".into(), ADMIN),
        ("SELECT hydra.webhook_adopt(true)".into(), ADMIN),
        ("SELECT hydra.webhook_verify('', '', '')".into(), ADMIN),
        (format!("SELECT hydra.webhook_would_match({id}, 'ticket.created', '{{}}')"), ADMIN),
        (format!("SELECT hydra.webhook_replay({id}, '-infinity', 'infinity')"), ADMIN),
        ("SELECT * FROM hydra.webhook_subscriptions".into(), READERS),
        ("SELECT * FROM hydra.webhook_event_types".into(), READERS),
        ("SELECT * FROM hydra.webhook_worker_status".into(), READERS),
        ("SELECT * FROM hydra.webhook_watches".into(), READERS),
        ("SELECT * FROM hydra.webhook_pending".into(), ANALYSTS),
        ("SELECT * FROM hydra.webhook_failed".into(), ANALYSTS),
        ("SELECT * FROM hydra.webhook_history".into(), ANALYSTS),
        ("SELECT * FROM hydra.webhook_stats".into(), ANALYSTS),
        ("SELECT hydra.webhook_emit('ticket.created', '{}')".into(), EMITTER),
        (
            "CREATE TEMPORARY TABLE t (id int); CREATE TRIGGER emit AFTER INSERT ON t FOR EACH ROW
             EXECUTE FUNCTION hydra.webhook_emit_row('ticket.created'); INSERT INTO t VALUES (1)"
                .into(),
            EMITTER,
        ),
        (
            "CREATE TEMPORARY TABLE t (id int); SELECT hydra.webhook_watch('t', 'ticket.created', 'insert', level => 'statement');
             INSERT INTO t VALUES (1); SELECT hydra.webhook_unwatch('t', 'ticket.created')"
                .into(),
            EMITTER,
        ),
        ("SELECT hydra.webhook_watch('hydra.event', 'ticket.created', 'insert')".into(), &[]),
        ("SELECT hydra._new_secret()".into(), &[]),
        ("SELECT hydra._check_url('https://example.com/')".into(), &[]),
        ("SELECT hydra._announce_changes()".into(), &[]),
        (format!("SELECT hydra._locked_subscription({id})"), &[]),
        (format!("SELECT hydra._locked_delivery('{delivery}')"), &[]),
        ("CREATE TABLE hydra.mine (id int)".into(), &[]),
        ("ALTER EXTENSION hydra_webhooks UPDATE".into(), &[]),
        ("DROP EXTENSION hydra_webhooks".into(), &[]),
        ("SET hydra_webhooks.on_entity_error = error".into(), &[]),
        ("SET hydra_webhooks.max_entity_size = '1MB'".into(), &[]),
                ("CREATE TRIGGER spy AFTER INSERT ON hydra.event FOR EACH ROW EXECUTE FUNCTION hydra.webhook_emit_row('a.b')".into(), &[]),
    ];
    for role in PEOPLE.into_iter().chain(["nobody"]) {
        let mut person = cluster().connect_as("deeds", &format!("person_{role}"));
        for (deed, allowed) in &deeds {
            assert_may(&mut person, role, deed, allowed.contains(&role));
        }
        // Not to be tried inside a transaction.
        let network = "ALTER SYSTEM SET hydra_webhooks.allow_networks = '0.0.0.0/0'";
        assert_eq!(refusal(&mut person, network).code, "42501", "{role}");
        for table in names(
            &mut client,
            "SELECT relname::text FROM pg_class WHERE relnamespace = 'hydra'::regnamespace AND relkind IN ('r', 'v')",
        ) {
            let read = GRANTED.iter().any(|(name, roles)| *name == table && roles.contains(&role));
            assert_may(&mut person, role, &format!("SELECT count(*) FROM hydra.{table}"), read);
            assert_may(&mut person, role, &format!("COPY hydra.{table} TO STDOUT"), false);
            for write in [
                "INSERT INTO hydra.{} DEFAULT VALUES",
                "DELETE FROM hydra.{}",
                "TRUNCATE hydra.{}",
                "LOCK TABLE hydra.{}",
            ] {
                assert_may(&mut person, role, &write.replace("{}", &table), false);
            }
        }
    }
}

/// Does it, and undoes it.
#[track_caller]
fn assert_may(person: &mut Client, role: &str, deed: &str, allowed: bool) {
    run(person, "BEGIN");
    let outcome = person.batch_execute(deed);
    let code =
        outcome.err().map(|error| error.as_db_error().unwrap_or_else(|| panic!("{deed}: {error:?}")).code().clone());
    run(person, "ROLLBACK");
    match code {
        None => assert!(allowed, "{role} may {deed}"),
        Some(code) if allowed => panic!("{role} may not {deed}: {code:?}"),
        // A view that cannot be written or copied at all is as good as a table that one has no right to.
        Some(code) => assert!(["42501", "55000", "42809"].contains(&code.code()), "{role}, {deed}: {code:?}"),
    }
}

#[test]
fn the_worker_is_no_superuser_and_has_no_more_than_its_tables() {
    let mut client = cluster().create_database("worker");
    let pid = cluster().dispatcher_pid("worker");
    let user: String = ask(&mut client, &format!("SELECT usename::text FROM pg_stat_activity WHERE pid = {pid}"));
    assert_eq!(user, "hydra_worker");
    let powers: bool = ask(
        &mut client,
        "SELECT rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls FROM pg_roles WHERE rolname = 'hydra_worker'",
    );
    assert!(!powers);
    let memberships: i64 = ask(
        &mut client,
        "SELECT count(*) FROM pg_auth_members WHERE member = 'hydra_worker'::regrole OR roleid = 'hydra_worker'::regrole",
    );
    assert_eq!(memberships, 0, "it is in no group, and nobody is in its");
    let owned: i64 =
        ask(&mut client, "SELECT count(*) FROM pg_shdepend WHERE refobjid = 'hydra_worker'::regrole AND deptype = 'o'");
    assert_eq!(owned, 0);

    let rights: BTreeSet<String> = access(&mut client)
        .iter()
        .filter(|entry| entry.grantee == "hydra_worker")
        .map(|entry| format!("{} {}", entry.object, entry.privilege))
        .collect();
    let writes =
        |table: &str| rights.contains(&format!("{table} INSERT")) || rights.contains(&format!("{table} DELETE"));
    for table in ["subscription", "signing_secret", "event_type", "preset", "identity"] {
        assert!(!writes(table), "the worker writes {table}");
    }
    assert!(!rights.iter().any(|right| right.contains("TRUNCATE") || right.contains("TRIGGER")), "{rights:?}");
    assert!(writes("delivery") && writes("attempt"), "it can do its work: {rights:?}");
}

#[test]
fn secrets_are_for_the_owner_and_the_worker() {
    let mut client = cluster().create_database("secrets");
    let readers: BTreeSet<String> = access(&mut client)
        .iter()
        .filter(|entry| entry.object.starts_with("signing_secret"))
        .map(|entry| format!("{} {}", entry.grantee, entry.privilege))
        .collect();
    assert_eq!(readers, BTreeSet::from(["hydra_worker SELECT".to_owned()]));
}

#[test]
fn functions_that_run_as_their_owner_fix_their_search_path() {
    let mut client = cluster().create_database("definers");
    let loose = names(
        &mut client,
        "SELECT oid::regprocedure::text FROM pg_proc
         WHERE pronamespace = 'hydra'::regnamespace AND prosecdef
               AND NOT coalesce('search_path=pg_catalog, pg_temp' = ANY (proconfig), false)",
    );
    assert!(loose.is_empty(), "{loose:?}");
    assert!(
        ask::<i64>(
            &mut client,
            "SELECT count(*) FROM pg_proc WHERE pronamespace = 'hydra'::regnamespace AND prosecdef"
        ) > 5
    );
}

/// A function of the caller's, on purpose: conditions mean what they mean to whoever watches, and all else in it is
/// written out in full.
const LOOKS_WHERE_ITS_CALLER_DOES: &str = "hydra.webhook_watch(source regclass,event text,operation text,condition text,entity text,columns text[],tenant text,level text)";

#[test]
fn pgspot_finds_no_way_into_the_script_of_the_extension() {
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

// ---- creating the extension

#[test]
fn a_database_that_is_not_in_utf8_is_refused_with_advice() {
    let mut superuser = cluster().connect("postgres");
    for encoding in ["LATIN1", "SQL_ASCII"] {
        let database = encoding.to_lowercase();
        run(
            &mut superuser,
            &format!("CREATE DATABASE {database} ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0"),
        );
        let mut client = cluster().connect(&database);
        let refusal = refused(&mut client, "CREATE EXTENSION hydra_webhooks", "0A000");
        assert!(
            refusal.message.contains("UTF8") && refusal.detail.contains(encoding) && refusal.hint.contains("UTF8"),
            "{refusal:?}"
        );
        assert_eq!(ask::<i64>(&mut client, "SELECT count(*) FROM pg_namespace WHERE nspname = 'hydra'"), 0);
    }
}

#[test]
fn somebody_who_is_no_superuser_cannot_create_the_extension() {
    let mut superuser = cluster().connect("postgres");
    run(&mut superuser, "CREATE DATABASE owned OWNER person_nobody");
    let mut client = cluster().connect_as("owned", "person_nobody");
    assert_eq!(refusal(&mut client, "CREATE EXTENSION hydra_webhooks").code, "42501");
}

#[test]
fn a_role_that_was_there_before_is_taken_over_only_if_it_is_harmless() {
    let cluster = Cluster::start(&[]);
    let mut client = cluster.connect("postgres");
    for attribute in ["SUPERUSER", "CREATEROLE", "CREATEDB", "REPLICATION", "BYPASSRLS", "LOGIN"] {
        run(&mut client, &format!("CREATE ROLE hydra_member {attribute}"));
        let refusal = refused(&mut client, "CREATE EXTENSION hydra_webhooks", "55000");
        assert!(refusal.message.contains("hydra_member"), "{refusal:?}");
        run(&mut client, "DROP ROLE hydra_member");
    }
    run(&mut client, "CREATE ROLE hydra_member");
    run(&mut client, "CREATE EXTENSION hydra_webhooks");
    run(&mut client, "DROP EXTENSION hydra_webhooks; CREATE EXTENSION hydra_webhooks");
}

#[test]
fn a_role_that_was_there_before_as_a_member_of_a_powerful_one_is_refused() {
    let cluster = Cluster::start(&[]);
    let mut client = cluster.connect("postgres");
    run(&mut client, "CREATE ROLE hydra_emitter; GRANT pg_execute_server_program TO hydra_emitter");
    refused(&mut client, "CREATE EXTENSION hydra_webhooks", "55000");
}

#[test]
fn two_databases_can_get_the_extension_at_the_same_time() {
    let cluster = Cluster::start(&[]);
    let mut superuser = cluster.connect("postgres");
    run(&mut superuser, "CREATE DATABASE one");
    run(&mut superuser, "CREATE DATABASE two");
    let mut one = cluster.connect("one");
    let mut two = cluster.connect("two");
    let pid: i32 = ask(&mut two, "SELECT pg_backend_pid()");
    run(&mut one, "BEGIN");
    run(&mut one, "CREATE EXTENSION hydra_webhooks");
    let second = thread::spawn(move || {
        two.batch_execute("CREATE EXTENSION hydra_webhooks").map_err(|error| format!("{error:?}"))
    });
    wait_until("the second waits for the first, or is done", PATIENCE, || {
        let blocked = format!("SELECT cardinality(pg_blocking_pids({pid})) > 0");
        ask(&mut superuser, &blocked) || second.is_finished()
    });
    run(&mut one, "COMMIT");
    assert_eq!(second.join().unwrap(), Ok(()));
}
