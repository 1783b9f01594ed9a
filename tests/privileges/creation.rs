//! Creating the extension: which role may, in which database, and what may exist before.

use std::fs;
use std::thread;

use postgres::NoTls;
use testkit::{Cluster, PATIENCE, ask, refusal, refused, run, wait_until};

use crate::{cluster, empty_database, loot};

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
fn only_a_superuser_can_create_the_extension() {
    let mut superuser = cluster().connect("postgres");
    run(&mut superuser, "CREATE DATABASE owned OWNER stranger");
    let mut client = cluster().connect_as("owned", "stranger");
    assert_eq!(refusal(&mut client, "CREATE EXTENSION hydra_webhooks").code, "42501");
}

#[test]
fn an_existing_role_is_used_only_if_it_has_no_attributes() {
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
    // What one of our roles may do, another one may be given.
    run(&mut client, "GRANT hydra_emitter, hydra_member TO hydra_admin");
    run(&mut client, "DROP EXTENSION hydra_webhooks; CREATE EXTENSION hydra_webhooks");
    run(&mut client, "GRANT hydra_member TO hydra_worker; DROP EXTENSION hydra_webhooks");
    refused(&mut client, "CREATE EXTENSION hydra_webhooks", "55000");
}

#[test]
fn an_existing_role_that_is_a_member_of_a_powerful_one_is_refused() {
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

#[test]
fn a_schema_with_objects_of_other_roles_is_refused() {
    let mut superuser = empty_database("squatted");
    let mut landlord = cluster().connect_as("squatted", "landlord");
    run(&mut landlord, "CREATE SCHEMA hydra");
    for object in [
        "FUNCTION hydra._new_secret() RETURNS text LANGUAGE sql AS $$ SELECT 'known' $$",
        "VIEW hydra.webhook_pending AS SELECT 1",
        "DOMAIN hydra.text AS text CHECK (public.loot(VALUE))",
        "OPERATOR hydra.= (FUNCTION = texteq, LEFTARG = text, RIGHTARG = text)",
    ] {
        run(&mut landlord, &format!("CREATE {object}"));
        refused(&mut superuser, "CREATE EXTENSION hydra_webhooks", "42P06");
        run(&mut superuser, "DROP SCHEMA hydra CASCADE; CREATE SCHEMA hydra AUTHORIZATION landlord");
    }
    // An empty schema is taken over, and then belongs to the extension only.
    run(&mut superuser, "GRANT ALL ON SCHEMA hydra TO PUBLIC; CREATE EXTENSION hydra_webhooks");
    assert_eq!(refusal(&mut landlord, "CREATE VIEW hydra.mine AS SELECT 1").code, "42501");
    assert_eq!(loot(&mut superuser), [""; 0]);
}

#[test]
fn no_role_can_log_in_as_the_worker() {
    let cluster = Cluster::start(&[]);
    let mut superuser = cluster.connect("postgres");
    // A role that may create roles made it before, and knows its password.
    run(&mut superuser, "CREATE ROLE hydra_worker LOGIN PASSWORD 'known'");
    refused(&mut superuser, "CREATE EXTENSION hydra_webhooks", "55000");
    run(&mut superuser, "ALTER ROLE hydra_worker PASSWORD NULL; CREATE EXTENSION hydra_webhooks");
    let rules = cluster.data().join("pg_hba.conf");
    fs::write(rules, "local all postgres trust\nlocal all all scram-sha-256\n").expect("rules can be written");
    cluster.set(&[]);
    for password in ["", "known", "hydra_worker"] {
        wait_until(format!("{password:?} is refused as its password"), PATIENCE, || {
            cluster.config().user("hydra_worker").password(password).connect(NoTls).is_err()
        });
    }
    // The dispatcher does not need to log in.
    cluster.dispatcher_pid("postgres");
}

/// Before the library is loaded, any role can set its settings.
#[test]
fn settings_made_before_the_library_is_loaded_are_discarded() {
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
