//! Dumps: whoever owns the database and the extension, a dump can be made and restored.

use std::fs;
use std::path::{Path, PathBuf};

use postgres::Client;
use testkit::{Bench, Cluster, ask, refused, run, wait_for_state};

use crate::all_of;

/// A database with a watched table, a subscription and an event type. It belongs to `dbo`, and the extension was created
/// by the superuser `alice`.
fn database<'a>(cluster: &'a Cluster, name: &str) -> Bench<'a> {
    let mut superuser = cluster.connect("postgres");
    run(
        &mut superuser,
        "DO $$ BEGIN
             IF to_regrole('alice') IS NULL THEN CREATE ROLE alice LOGIN SUPERUSER; CREATE ROLE dbo LOGIN; END IF;
             ALTER ROLE alice SUPERUSER;
         END $$",
    );
    run(&mut superuser, &format!("CREATE DATABASE {name} OWNER dbo"));
    run(&mut cluster.connect_as(name, "alice"), "CREATE EXTENSION hydra_webhooks");
    run(&mut superuser, "GRANT hydra_admin, hydra_emitter TO dbo; GRANT hydra_member TO hydra_admin");
    run(
        &mut cluster.connect_as(name, "dbo"),
        "GRANT CREATE ON SCHEMA public TO dbo; CREATE TABLE public.ticket (id int);
         SELECT hydra.webhook_watch('ticket', 'ticket.created', 'insert');
         SELECT hydra.webhook_register_event_type('order.paid')",
    );
    let mut bench = Bench {
        cluster,
        database: name.into(),
        client: cluster.connect(name),
        receiver: testkit::receiver::Receiver::start(),
    };
    bench.subscribe("/", "ticket.created,order.paid", &["retry_schedule => '{1 s}'", "timeout => '3 s'"]);
    bench
}

/// Dumps a database as this role, and returns the file, or what `pg_dump` said.
fn dump(cluster: &Cluster, role: &str, database: &str, more: &[&str]) -> Result<PathBuf, String> {
    let file = cluster.directory().join(format!("{database}.{role}.dump"));
    let mut command = cluster.program("pg_dump");
    let dumped = command.args(["-U", role]).args(more).arg("--file").arg(&file).arg(database).output().unwrap();
    if dumped.status.success() { Ok(file) } else { Err(String::from_utf8_lossy(&dumped.stderr).into_owned()) }
}

/// Restores a dump as this role, without an error.
#[track_caller]
fn restore(cluster: &Cluster, role: &str, file: &Path, to: &str) {
    let restored = cluster
        .program("psql")
        .args(["-XqAt", "-v", "ON_ERROR_STOP=1", "-U", role, "-d", to, "-f"])
        .arg(file)
        .output()
        .unwrap();
    assert!(restored.status.success(), "{}", String::from_utf8_lossy(&restored.stderr));
}

/// The restored database has what the original has, and once adopted, it sends.
#[track_caller]
fn assert_works(original: &mut Bench, copy: &str) {
    let mut client = original.cluster.connect(copy);
    let id = ask(&mut original.client, "SELECT id FROM hydra.subscription");
    assert_eq!(all_of(&mut client, id), all_of(&mut original.client, id));
    let event_types = "SELECT count(*) FROM hydra.webhook_event_types WHERE name = 'order.paid'";
    assert_eq!(ask::<i64>(&mut client, event_types), 1);
    wait_for_state(&mut client, "parked");
    run(&mut client, "SELECT hydra.webhook_adopt(keep_queue => true)");
    original.receiver.clear();
    run(&mut original.cluster.connect_as(copy, "dbo"), "INSERT INTO ticket VALUES (1)");
    original.wait_for("/", 1);
    assert_nobody_else_may(&mut client);
}

/// The extension belongs to a superuser again.
#[track_caller]
fn assert_nobody_else_may(client: &mut Client) {
    let others = "SELECT count(*) FROM pg_class AS c JOIN pg_roles AS r ON r.oid = c.relowner
                  WHERE c.relnamespace = 'hydra'::regnamespace AND NOT r.rolsuper";
    assert_eq!(ask::<i64>(client, others), 0);
    assert!(ask::<bool>(
        client,
        "SELECT rolsuper FROM pg_roles JOIN pg_namespace ON nspowner = pg_roles.oid WHERE nspname = 'hydra'"
    ));
}

#[test]
fn a_dump_of_a_database_whose_extension_belongs_to_no_superuser_can_be_restored() {
    let cluster = Cluster::start(&[("max_worker_processes", "20")]);
    let mut superuser = cluster.connect("postgres");
    for (name, change) in [
        ("demoted", "ALTER ROLE alice NOSUPERUSER"),
        ("reassigned", "REASSIGN OWNED BY alice TO dbo"),
        ("given", "ALTER SCHEMA hydra OWNER TO dbo"),
    ] {
        let mut bench = database(&cluster, name);
        bench.run(change);
        let before = dump(&cluster, "postgres", name, &[]).expect("a superuser can dump it");
        run(&mut superuser, &format!("CREATE DATABASE {name}_copy OWNER dbo"));
        restore(&cluster, "postgres", &before, &format!("{name}_copy"));
        assert_works(&mut bench, &format!("{name}_copy"));

        // Over a database that has the extension.
        let clean = dump(&cluster, "postgres", name, &["--clean", "--if-exists"]).expect("a superuser can dump it");
        run(&mut superuser, &format!("CREATE DATABASE {name}_over OWNER dbo"));
        restore(&cluster, "postgres", &before, &format!("{name}_over"));
        restore(&cluster, "postgres", &clean, &format!("{name}_over"));
        assert_works(&mut bench, &format!("{name}_over"));
    }
}

#[test]
fn the_owner_of_a_database_can_dump_and_restore_it_with_the_documented_grants() {
    let cluster = Cluster::start(&[("max_worker_processes", "20")]);
    let mut superuser = cluster.connect("postgres");
    let mut bench = database(&cluster, "owned");
    let said = dump(&cluster, "dbo", "owned", &[]).expect_err("dbo may not read secrets");
    // The second is that of pg_dump 18.
    assert!(said.contains("permission denied") || said.contains("may lack SELECT privilege"), "{said}");

    // Without the content of its tables, no grant is needed.
    let empty = dump(&cluster, "dbo", "owned", &["--exclude-table-data=hydra.*"]).expect("it needs no grant");
    run(&mut superuser, "CREATE DATABASE owned_empty OWNER dbo");
    restore(&cluster, "postgres", &empty, "owned_empty");
    assert_eq!(ask::<i64>(&mut cluster.connect("owned_empty"), "SELECT count(*) FROM hydra.subscription"), 0);

    run(&mut superuser, "GRANT pg_read_all_data TO dbo");
    let file = dump(&cluster, "dbo", "owned", &[]).expect("it can be dumped");
    run(&mut superuser, "CREATE DATABASE owned_copy OWNER dbo");
    restore(&cluster, "postgres", &file, "owned_copy");
    assert_works(&mut bench, "owned_copy");

    // The owner restores it after a superuser has created the extension.
    let archive = dump(&cluster, "dbo", "owned", &["--format=custom"]).expect("it can be dumped");
    run(&mut superuser, "GRANT pg_write_all_data TO dbo");
    run(&mut superuser, "CREATE DATABASE owned_by_dbo OWNER dbo");
    run(&mut cluster.connect("owned_by_dbo"), "CREATE EXTENSION hydra_webhooks");
    let list = pg_restore(&cluster, &archive, &["--list"]);
    let but_schema: String =
        list.lines().filter(|line| !line.contains("SCHEMA - hydra")).map(|line| format!("{line}\n")).collect();
    assert_ne!(list, but_schema);
    let chosen = cluster.directory().join("chosen");
    fs::write(&chosen, but_schema).expect("it can be written");
    let chosen = chosen.to_string_lossy();
    let options = ["--no-owner", "--no-privileges", "--no-comments", "--use-list", &chosen];
    pg_restore(
        &cluster,
        &archive,
        &[&["-U", "dbo", "--exit-on-error", "--dbname=owned_by_dbo"], &options[..]].concat(),
    );
    assert_works(&mut bench, "owned_by_dbo");
}

#[test]
fn a_dump_is_restored_by_several_jobs_whichever_table_they_load_first() {
    let cluster = Cluster::start(&[]);
    let mut bench = Bench::new(&cluster, "parallel");
    for path in ["/", "/other"] {
        bench.subscribe(path, "ticket.created", &[]);
    }
    bench.run(
        "CREATE ROLE app; CREATE FUNCTION public.take(jsonb) RETURNS jsonb LANGUAGE sql AS 'SELECT $1'; ALTER FUNCTION public.take OWNER TO app;
         SELECT hydra.mail_channel_create('a@example.com', 'public.take', adapter_id => a.id)
         FROM hydra.inbound_create('in', '\"ticket.created\"', provider => 'mime') AS a;
         SELECT hydra.inbound_rotate_secret(id, 'a secret of the other system') FROM hydra.inbound_adapters;
         SELECT hydra.mail_sent('<1@example.com>', 'ticket', '1', '{ann@example.com}');
         SELECT FROM hydra.api_key_create('key', '{webhooks:read}')",
    );
    let archive = dump(&cluster, "postgres", "parallel", &["-Fc"]).expect("a superuser can dump it");
    let owned = [
        "signing_secret",
        "api_key_hash",
        "inbound_path",
        "inbound_secret",
        "mail_channel",
        "mail_participant",
        "mail_known_id",
    ];
    let counts: Vec<i64> = owned.iter().map(|table| bench.count(table)).collect();
    assert!(counts.iter().all(|count| *count > 0), "{counts:?}");
    for copy in ["parallel_1", "parallel_2", "parallel_3"] {
        run(&mut cluster.connect("postgres"), &format!("CREATE DATABASE {copy}"));
        pg_restore(&cluster, &archive, &["--jobs=4", "--exit-on-error", "-U", "postgres", "-d", copy]);
        let mut client = cluster.connect(copy);
        for (table, count) in owned.iter().zip(&counts) {
            assert_eq!(ask::<i64>(&mut client, &format!("SELECT count(*) FROM hydra.{table}")), *count, "{table}");
        }
    }
    // What belongs to nothing is refused, and what belongs to something goes with it.
    refused(&mut bench.client, "INSERT INTO hydra.inbound_secret (adapter_id, secret) VALUES (99, 'x')", "23503");
    bench.run("DELETE FROM hydra.inbound_adapter; DELETE FROM hydra.subscription; DELETE FROM hydra.api_key; TRUNCATE hydra.mail_thread CASCADE");
    let left: Vec<i64> = owned.iter().map(|table| bench.count(table)).collect();
    assert_eq!(left, [0, 0, 0, 0, 1, 0, 0]);
    assert!(bench.ask::<bool>("SELECT adapter_id IS NULL FROM hydra.mail_channel"));
}

#[test]
fn event_types_that_were_removed_are_not_in_a_restored_dump() {
    let cluster = Cluster::start(&[]);
    let mut bench = Bench::new(&cluster, "removed");
    bench.run("SELECT hydra.webhook_unregister_catalogue('field_service'), hydra.webhook_unregister_event_type('ticket.created')");
    bench.run("SELECT hydra.webhook_unregister_event_type('ticket.assigned'); SELECT hydra.webhook_register_event_type('ticket.assigned')");
    let file = dump(&cluster, "postgres", "removed", &[]).expect("it can be dumped");
    run(&mut cluster.connect("postgres"), "CREATE DATABASE removed_copy");
    restore(&cluster, "postgres", &file, "removed_copy");
    let names = "SELECT array_agg(name ORDER BY name) FROM hydra.webhook_event_types";
    let before: Vec<String> = bench.ask(names);
    assert_eq!(before.len(), 13, "{before:?}");
    assert_eq!(ask::<Vec<String>>(&mut cluster.connect("removed_copy"), names), before);
}

/// Runs `pg_restore`, without an error, and returns what it printed.
#[track_caller]
fn pg_restore(cluster: &Cluster, archive: &Path, options: &[&str]) -> String {
    let output = cluster.program("pg_restore").args(options).arg(archive).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}
