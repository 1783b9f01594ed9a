//! What each role may do: read from the catalogue, and tried.

use std::collections::{BTreeMap, BTreeSet};

use postgres::Client;
use testkit::receiver::{Answer, Receiver};
use testkit::{PATIENCE, ask, refusal, run, subscribe, wait_until};

use crate::cluster;

const ROLES: [&str; 4] = ["hydra_admin", "hydra_member", "hydra_analyst", "hydra_emitter"];
const GATEWAYS: &[&str] = &["hydra_gateway", "hydra_gateway_embedded"];

const ADMIN: &[&str] = &["hydra_admin"];
const READERS: &[&str] = &["hydra_admin", "hydra_member", "hydra_analyst"];
/// Readers, and those who watch tables.
const MIGRATION: &[&str] = &["hydra_admin", "hydra_member", "hydra_analyst", "hydra_emitter"];
const ANALYSTS: &[&str] = &["hydra_admin", "hydra_analyst"];
const EMITTER: &[&str] = &["hydra_emitter"];
/// Who may write all tables anyway.
const WRITERS: &[&str] = &["pg_write_all_data"];
/// Who watches over the server.
const MONITOR: &str = "pg_monitor";

/// Which functions and views are granted to which roles. All others are granted to no role. Names that do not exist are
/// ignored.
const GRANTED: &[(&str, &[&str])] = &[
    ("api_key_create", ADMIN),
    ("api_key_revoke", ADMIN),
    ("api_key_rotate", ADMIN),
    ("api_keys", ADMIN),
    ("api_expose", ADMIN),
    ("api_hide", ADMIN),
    ("api_resources", READERS),
    ("tool_register", ADMIN),
    ("tool_unregister", ADMIN),
    ("tools", READERS),
    ("approvals", ADMIN),
    ("approve", ADMIN),
    ("refuse", ADMIN),
    ("console_link", ADMIN),
    ("rehearse", ADMIN),
    ("inbound_create", ADMIN),
    ("inbound_delete", ADMIN),
    ("inbound_pause", ADMIN),
    ("inbound_replay", ADMIN),
    ("inbound_resume", ADMIN),
    ("inbound_rotate_secret", ADMIN),
    ("inbound_rotate_url", ADMIN),
    ("inbound_try", ADMIN),
    ("inbound_update", ADMIN),
    ("inbound_adapters", READERS),
    ("inbound_events", READERS),
    ("inbound_refusals", READERS),
    ("flow_create", ADMIN),
    ("flow_delete", ADMIN),
    ("flow_deploy", ADMIN),
    ("flow_pause", ADMIN),
    ("flow_test", ADMIN),
    ("flow_would_match", ADMIN),
    ("flow_runs", READERS),
    ("flows", READERS),
    ("runner_status", READERS),
    ("mail_channel_create", ADMIN),
    ("mail_channel_delete", ADMIN),
    ("mail_channel_pause", ADMIN),
    ("mail_channel_resume", ADMIN),
    ("mail_channel_update", ADMIN),
    ("mail_channels", READERS),
    ("mail_messages", ANALYSTS),
    // The function of a channel reads its own message with them.
    ("mail_attachment", &["hydra_admin", "hydra_analyst", "hydra_emitter"]),
    ("mail_raw", &["hydra_admin", "hydra_analyst", "hydra_emitter"]),
    ("mail_reply_address", &["hydra_admin", "hydra_emitter"]),
    ("mail_sent", &["hydra_admin", "hydra_emitter"]),
    ("mail_tag", &["hydra_admin", "hydra_emitter"]),
    ("gateways", READERS),
    ("gateway_status", READERS),
    ("serve", GATEWAYS),
    ("serve_packed", GATEWAYS),
    // For policies of the application.
    ("current_tenant", &["hydra_admin", "hydra_analyst", "hydra_api", "hydra_emitter", "hydra_member"]),
    ("current_key", &["hydra_admin", "hydra_analyst", "hydra_api", "hydra_emitter", "hydra_member"]),
    ("current_scopes", &["hydra_admin", "hydra_analyst", "hydra_api", "hydra_emitter", "hydra_member"]),
    ("webhook_adopt", ADMIN),
    ("webhook_cancel", ADMIN),
    ("webhook_create", ADMIN),
    ("webhook_delete", ADMIN),
    ("webhook_doctor", &["hydra_admin", "hydra_analyst", MONITOR]),
    // What it shows depends on which of these its caller may execute.
    ("_doctor_for_admins", ADMIN),
    ("_doctor_for_others", &["hydra_analyst", MONITOR]),
    ("webhook_park", ADMIN),
    ("webhook_pause", ADMIN),
    // A migration registers event types, watches tables, and sees both.
    ("webhook_register_event_type", &["hydra_admin", "hydra_emitter"]),
    ("webhook_unregister_event_type", &["hydra_admin", "hydra_emitter"]),
    ("webhook_unregister_catalogue", &["hydra_admin", "hydra_emitter"]),
    ("webhook_replay", ADMIN),
    ("webhook_resume", ADMIN),
    ("webhook_retry", ADMIN),
    ("webhook_send_kept", ADMIN),
    ("webhook_drop_kept", ADMIN),
    ("webhook_end_overlap", ADMIN),
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
    ("webhook_event_types", MIGRATION),
    ("webhook_worker_status", READERS),
    ("webhook_databases", READERS),
    ("webhook_delivered", ANALYSTS),
    ("webhook_failed", ANALYSTS),
    ("webhook_history", ANALYSTS),
    ("webhook_kept", ANALYSTS),
    ("webhook_pending", ANALYSTS),
    ("webhook_stats", ANALYSTS),
    ("webhook_stats_between", ANALYSTS),
    ("webhook_counts", ANALYSTS),
    ("webhook_percentile", ANALYSTS),
    ("webhook_merge", ANALYSTS),
    ("webhook_watches", MIGRATION),
    ("webhook_watch_definition", MIGRATION),
    // The functions of a view run as its reader. These show nothing that the views do not.
    ("_worker_status", READERS),
    ("_database_status", READERS),
    ("_gateway_status", READERS),
    ("_runner_status", READERS),
    ("_column_origins", READERS),
    ("_refused_columns", READERS),
    ("_flow_choice", ADMIN),
    ("_flow_filter_passes", ADMIN),
    ("_shown_error", READERS),
    ("_shown_url", READERS),
    ("_delivery_id", ANALYSTS),
    ("_event_uuid", ANALYSTS),
    ("_check_span", ANALYSTS),
    ("_check_groups", ANALYSTS),
    ("_names_event_type", ANALYSTS),
    ("_subscription_name", ANALYSTS),
    ("_trigger_arguments", MIGRATION),
    ("_trigger_type", MIGRATION),
    ("_watch_details", MIGRATION),
    ("_watch_problem", MIGRATION),
    ("_watch_errors", MIGRATION),
    ("_watch_settings", MIGRATION),
    ("_watches", MIGRATION),
    ("_watch_notes", MIGRATION),
    ("_level_note", MIGRATION),
    ("_secrets_note", MIGRATION),
    ("_looks_secret", MIGRATION),
    ("_id_note", MIGRATION),
    // A watch is created with the rights of the caller.
    ("_define_watch", EMITTER),
    ("_create_watch", EMITTER),
    ("_tell_of_changes", EMITTER),
    ("_new_watch_name", EMITTER),
    ("_id_key", EMITTER),
    ("_check_entity_type", EMITTER),
    ("_watch_operations", EMITTER),
    ("_watch_arguments", EMITTER),
    ("_check_watched", EMITTER),
    ("_check_columns", EMITTER),
    ("_check_choice", EMITTER),
    ("_check_watch", EMITTER),
    ("_check_expression", EMITTER),
    // So is a test of what a subscription would match.
    ("_check_event_type", &["hydra_admin", "hydra_emitter"]),
    ("_choice", ADMIN),
    ("_filter_passes", ADMIN),
    // Constraints of the tables call these, also when a dump is restored.
    ("_is_event_type_name", WRITERS),
    ("_seconds", WRITERS),
];

/// Every object of the schema with its kind and its access list, the owner's own rights left out. A function without a
/// list is one that PUBLIC may execute.
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
fn default_privileges_give_no_role_rights_on_the_extension() {
    let mut superuser = cluster().connect("postgres");
    run(&mut superuser, "CREATE DATABASE generous");
    let mut client = cluster().connect("generous");
    for kind in ["TABLES", "SEQUENCES", "FUNCTIONS", "SCHEMAS"] {
        run(&mut client, &format!("ALTER DEFAULT PRIVILEGES GRANT ALL ON {kind} TO PUBLIC, stranger"));
    }
    run(&mut client, "CREATE EXTENSION hydra_webhooks");
    let open: BTreeSet<String> = access(&mut client)
        .iter()
        .filter(|entry| !entry.grantee.starts_with("hydra_") && !WRITERS.contains(&entry.grantee.as_str()))
        .filter(|entry| entry.grantee != MONITOR || !["USAGE", "EXECUTE"].contains(&entry.privilege.as_str()))
        .map(|entry| format!("{} {} {}", entry.grantee, entry.privilege, entry.object))
        .collect();
    assert!(open.is_empty(), "{open:?}");
}

#[test]
fn each_role_has_exactly_the_rights_that_are_granted_to_it() {
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

    // None of them is a member of another role.
    let memberships = names(
        &mut client,
        "SELECT member::regrole || ' in ' || roleid::regrole FROM pg_auth_members WHERE member::regrole::text ^@ 'hydra_'",
    );
    assert!(memberships.is_empty(), "{memberships:?}");
}

/// Each role tries everything.
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
    run(
        &mut client,
        "CREATE FUNCTION public.flow(jsonb) RETURNS void LANGUAGE sql AS ''; ALTER FUNCTION public.flow(jsonb) OWNER TO hydra_api;
         SELECT hydra.flow_create('x', 'ticket.created', 'public.flow')",
    );

    let deeds: Vec<(String, &[&str])> = vec![
        (format!("SELECT hydra.webhook_create('{url}', '{{ticket.created}}')"), ADMIN),
        (format!("SELECT hydra.webhook_update({id}, name => 'x')"), ADMIN),
        (format!("SELECT hydra.webhook_pause({id})"), ADMIN),
        (format!("SELECT hydra.webhook_resume({id})"), ADMIN),
        (format!("SELECT hydra.webhook_rotate_secret({id})"), ADMIN),
        (format!("SELECT hydra.webhook_end_overlap({id})"), ADMIN),
        (format!("SELECT hydra.webhook_send_test({id})"), ADMIN),
        (format!("SELECT hydra.webhook_retry('{delivery}')"), ADMIN),
        (format!("SELECT hydra.webhook_cancel('{delivery}')"), ADMIN),
        (format!("SELECT hydra.webhook_delete({failing})"), ADMIN),
        ("SELECT hydra.webhook_register_event_type('a.b')".into(), &["hydra_admin", "hydra_emitter"]),
        ("SELECT hydra.webhook_adopt(true)".into(), ADMIN),
        ("SELECT hydra.webhook_verify('', '', '')".into(), ADMIN),
        (format!("SELECT hydra.webhook_would_match({id}, 'ticket.created', '{{}}')"), ADMIN),
        (format!("SELECT hydra.webhook_replay({id}, '-infinity', 'infinity')"), ADMIN),
        ("SELECT hydra.api_key_create('x', '{mcp}')".into(), ADMIN),
        ("SELECT hydra.console_link('hydra_member')".into(), ADMIN),
        ("SELECT hydra.rehearse('pg_catalog.jsonb_typeof(jsonb)')".into(), ADMIN),
        ("SELECT hydra.flow_would_match(min(id), 'ticket.created', '{}') FROM hydra.flows".into(), ADMIN),
        ("SELECT hydra._insert_flow(1, 'x', 'ticket.created', 'public.x', NULL, NULL, NULL)".into(), &[]),
        ("SELECT hydra._set_flow_state(1, 1, 'deployed')".into(), &[]),
        ("SELECT hydra._note_for_runner(now())".into(), &[]),
        ("SELECT hydra.mail_channel_create('a@b.test', 'public.flow')".into(), ADMIN),
        ("SELECT hydra.mail_tag('ticket', '7')".into(), &["hydra_admin", "hydra_emitter"]),
        ("SELECT hydra._new_mail_secret()".into(), &[]),
        ("SELECT * FROM hydra.api_keys".into(), ADMIN),
        ("SELECT * FROM hydra.approvals".into(), ADMIN),
        ("SELECT * FROM hydra.gateways".into(), READERS),
        ("SELECT hydra.current_tenant()".into(), &ROLES),
        ("SELECT * FROM hydra.serve(1, 'rest', NULL, 'GET', '/', '', '[]', NULL, NULL)".into(), &[]),
        ("SELECT hydra.serve_packed(1, 'rest', NULL, 'GET', '/', '', NULL, NULL, NULL)".into(), &[]),
        ("SELECT hydra._set_gateway_verifier('SCRAM-SHA-256$x')".into(), &[]),
        ("SELECT * FROM hydra.webhook_subscriptions".into(), READERS),
        ("SELECT * FROM hydra.webhook_event_types".into(), MIGRATION),
        ("SELECT * FROM hydra.webhook_worker_status".into(), READERS),
        ("SELECT * FROM hydra.webhook_databases".into(), READERS),
        ("SELECT * FROM hydra.webhook_doctor()".into(), ANALYSTS),
        ("SELECT * FROM hydra._doctor_for_admins()".into(), ADMIN),
        ("SELECT * FROM hydra._doctor(true)".into(), &[]),
        ("SELECT * FROM hydra.webhook_watches".into(), MIGRATION),
        ("SELECT * FROM hydra.webhook_pending".into(), ANALYSTS),
        ("SELECT * FROM hydra.webhook_failed".into(), ANALYSTS),
        ("SELECT * FROM hydra.webhook_delivered".into(), ANALYSTS),
        ("SELECT * FROM hydra.webhook_history".into(), ANALYSTS),
        ("SELECT * FROM hydra.webhook_stats".into(), ANALYSTS),
        ("SELECT * FROM hydra.webhook_counts".into(), ANALYSTS),
        ("SELECT * FROM hydra.webhook_stats_between('-infinity', 'infinity', '{subscription,event,tenant,status,day}', 1, '*', 'x')".into(), ANALYSTS),
        ("SELECT hydra.webhook_percentile(hydra.webhook_merge('{1}'), 0.5)".into(), ANALYSTS),
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
        ("SELECT hydra._new_secret(1)".into(), &[]),
        ("SELECT hydra._check_url('https://example.com/')".into(), &[]),
        ("SELECT hydra._announce_changes()".into(), &[]),
        ("SELECT hydra._announce_change(1)".into(), &[]),
        (format!("SELECT hydra._locked_subscription({id})"), &[]),
        (format!("SELECT hydra._locked_deliveries('{delivery}', NULL, NULL, NULL, NULL, NULL, NULL, NULL)"), &[]),
        ("CREATE TABLE hydra.mine (id int)".into(), &[]),
        ("ALTER EXTENSION hydra_webhooks UPDATE".into(), &[]),
        ("DROP EXTENSION hydra_webhooks".into(), &[]),
        ("SET hydra_webhooks.on_entity_error = error".into(), &[]),
        ("SET hydra_webhooks.max_entity_size = '1MB'".into(), &[]),
                ("CREATE TRIGGER spy AFTER INSERT ON hydra.event FOR EACH ROW EXECUTE FUNCTION hydra.webhook_emit_row('a.b')".into(), &[]),
    ];
    let views = names(
        &mut client,
        "SELECT relname::text FROM pg_class WHERE relnamespace = 'hydra'::regnamespace AND relkind = 'v'",
    );
    for role in ROLES.into_iter().chain(["nobody"]) {
        let mut person = cluster().connect_as("deeds", role.strip_prefix("hydra_").unwrap_or("stranger"));
        for (deed, allowed) in &deeds {
            assert_may(&mut person, role, deed, allowed.contains(&role));
        }
        // It cannot run inside a transaction.
        let network = "ALTER SYSTEM SET hydra_webhooks.allow_networks = '0.0.0.0/0'";
        assert_eq!(refusal(&mut person, network).code, "42501", "{role}");
        for table in names(
            &mut client,
            "SELECT relname::text FROM pg_class WHERE relnamespace = 'hydra'::regnamespace AND relkind IN ('r', 'v')",
        ) {
            let read =
                views.contains(&table) && GRANTED.iter().any(|(name, roles)| *name == table && roles.contains(&role));
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

/// Tries it in a transaction that is rolled back.
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
        // Some views cannot be written or copied by any role.
        Some(code) => assert!(["42501", "55000", "42809"].contains(&code.code()), "{role}, {deed}: {code:?}"),
    }
}

#[test]
fn the_worker_is_not_a_superuser_and_has_only_its_tables() {
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
    assert_eq!(memberships, 0, "it is a member of no role, and no role is a member of it");
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
    for table in ["subscription", "event_type", "preset", "identity"] {
        assert!(!writes(table), "the worker writes {table}");
    }
    // It removes secrets that no longer sign.
    let of_secrets: Vec<_> = rights.iter().filter(|right| right.starts_with("signing_secret")).collect();
    assert_eq!(of_secrets, ["signing_secret DELETE", "signing_secret SELECT"]);
    assert!(!rights.iter().any(|right| right.contains("TRUNCATE") || right.contains("TRIGGER")), "{rights:?}");
    assert!(writes("delivery") && writes("attempt"), "it can do its work: {rights:?}");
}

#[test]
fn only_the_owner_and_the_worker_can_read_secrets() {
    let mut client = cluster().create_database("secrets");
    let readers: BTreeSet<String> = access(&mut client)
        .iter()
        .filter(|entry| entry.object.starts_with("signing_secret"))
        .map(|entry| format!("{} {}", entry.grantee, entry.privilege))
        .collect();
    assert_eq!(readers, BTreeSet::from(["DELETE", "SELECT"].map(|right| format!("hydra_worker {right}"))));
}

#[test]
fn only_roles_that_manage_subscriptions_see_the_path_and_the_query_of_a_url() {
    let mut client = cluster().create_database("urls");
    let (id, _) = subscribe(&mut client, "http://127.0.0.1:9/T00/B00/token?key=s3cret", "ticket.created", &[]);
    for (role, expected) in [
        ("admin", "http://127.0.0.1:9/T00/B00/token?key=s3cret"),
        ("member", "http://127.0.0.1:9/…"),
        ("analyst", "http://127.0.0.1:9/…"),
    ] {
        let mut person = cluster().connect_as("urls", role);
        let url: String = ask(&mut person, &format!("SELECT url FROM hydra.webhook_subscriptions WHERE id = {id}"));
        assert_eq!(url, expected, "{role}");
        let row: String = ask(&mut person, "SELECT s::text FROM hydra.webhook_subscriptions AS s");
        assert_eq!(row.contains("s3cret"), role == "admin", "{role}: {row}");
    }
}

#[test]
fn security_definer_functions_set_their_search_path() {
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

#[test]
fn an_error_about_a_missing_privilege_names_the_role_that_is_missing() {
    let mut client = cluster().create_database("missing");
    run(&mut client, "CREATE VIEW public.webhook_notes AS SELECT 1");
    let mut stranger = cluster().connect_as_new_role("missing", "missing_stranger", &[]);
    let hint = |client: &mut Client, sql: &str| {
        let refusal = refusal(client, sql);
        assert_eq!(refusal.code, "42501", "{sql}: {refusal:?}");
        refusal.hint
    };
    let anything = hint(&mut stranger, "SELECT hydra.webhook_emit('ticket.created', '{}')");
    assert!(
        ["hydra_emitter", "hydra_member", "hydra_analyst", "hydra_admin"].iter().all(|role| anything.contains(role)),
        "{anything}"
    );
    let mut emitter = cluster().connect_as_new_role("missing", "missing_emitter", &["hydra_emitter"]);
    for (sql, named) in [
        (
            "SELECT hydra.webhook_create('https://example.com/', '{ticket.created}')",
            "a member of hydra_admin: GRANT hydra_admin TO",
        ),
        ("SELECT * FROM hydra.webhook_history", "a member of hydra_analyst or hydra_admin: GRANT hydra_analyst TO"),
        (
            "SELECT * FROM hydra.webhook_subscriptions",
            "a member of hydra_member or hydra_analyst or hydra_admin: GRANT hydra_member TO",
        ),
    ] {
        let hint = hint(&mut emitter, sql);
        assert!(hint.contains(named), "{sql}: {hint}");
    }
    // In any language, and nothing about what is not of the extension.
    run(&mut client, "CREATE TABLE public.webhook_own (id int)");
    for sql in
        ["SELECT * FROM public.webhook_notes", "SELECT * FROM public.webhook_own", "SELECT * FROM hydra.signing_secret"]
    {
        assert_eq!(hint(&mut emitter, sql), "", "{sql}");
    }
}

#[test]
fn each_role_that_may_use_something_is_named_by_the_hint_about_it() {
    let mut client = cluster().create_database("hinted");
    let mut stranger = cluster().connect_as_new_role("hinted", "hinted_stranger", &[]);
    run(&mut client, "GRANT USAGE ON SCHEMA hydra TO hinted_stranger");
    let views = names(
        &mut client,
        "SELECT relname::text FROM pg_class WHERE relnamespace = 'hydra'::regnamespace AND relkind = 'v' AND relname ~ '_'",
    );
    for view in views {
        let Some((_, roles)) = GRANTED.iter().find(|(name, _)| *name == view) else { continue };
        let hint = refusal(&mut stranger, &format!("SELECT * FROM hydra.{view}")).hint;
        for role in *roles {
            assert!(hint.contains(role), "{view}: {hint}");
        }
    }
}

#[test]
fn errors_show_no_frames_of_the_extension_and_those_of_the_application() {
    let mut client = cluster().create_database("contexts");
    let context = |client: &mut Client, sql: &str| {
        let error = client.batch_execute(sql).expect_err(sql);
        error.as_db_error().and_then(|error| error.where_()).unwrap_or_default().to_owned()
    };
    for sql in [
        "SELECT hydra.webhook_create('https://example.com/', '{no.such}')",
        "SELECT hydra.webhook_create('http://example.com:99999/', '{ticket.created}')",
        "SELECT hydra.webhook_update(99, name => 'x')",
        "SELECT hydra.webhook_watch('pg_class', 'no.such', 'insert')",
        "SELECT hydra.webhook_watch('pg_class', 'ticket.created', 'explode')",
        "SELECT hydra.webhook_register_event_type('x')",
    ] {
        assert_eq!(context(&mut client, sql), "", "{sql}");
    }
    run(
        &mut client,
        "CREATE FUNCTION public.seed() RETURNS void LANGUAGE plpgsql AS $$ BEGIN PERFORM hydra.webhook_update(99, name => 'x'); END $$",
    );
    let own = context(&mut client, "SELECT public.seed()");
    assert!(
        own.starts_with("PL/pgSQL function") && own.contains("seed() line 1 at PERFORM") && !own.contains("hydra."),
        "{own}"
    );
}
