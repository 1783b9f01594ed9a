//! Signing secrets at rest: they are sealed with a key from a file. Without the key their subscriptions wait.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::PathBuf;

use postgres::Client;
use testkit::receiver::{Answer, Receiver, Signature};
use testkit::{Cluster, Need, StopMode, lacks, wait_until, worker_status};
use testkit::{PATIENCE, ask, refused, run, subscribe, wait_for_empty_queue};

const PATH: &str = "/";
const SEALED: &str = "SELECT bool_and(secret ^@ 'sealed:') FROM hydra.signing_secret";

/// A key in which one digit is repeated.
fn key(digit: char) -> String {
    digit.to_string().repeat(64)
}

/// A cluster and its key file.
struct Vault {
    cluster: Cluster,
    file: PathBuf,
}

impl Vault {
    fn new(lines: &[String]) -> Self {
        let cluster = Cluster::start(&[]);
        let vault = Self { file: cluster.directory().join("keys"), cluster };
        vault.write(lines, 0o600);
        vault.cluster.set(&[("hydra_webhooks.key_file", vault.file.to_str().expect("a path in UTF-8"))]);
        vault
    }

    fn write(&self, lines: &[String], mode: u32) {
        fs::write(&self.file, lines.join("\n")).expect("a file can be written into the directory of the cluster");
        fs::set_permissions(&self.file, Permissions::from_mode(mode)).expect("its mode can be changed");
        let server = fs::metadata(self.cluster.data()).expect("the cluster is there");
        chown(&self.file, Some(server.uid()), Some(server.gid())).expect("it can be given to the server");
    }

    /// A database, and a session that has applied the setting.
    fn create_database(&self, name: &str) -> Client {
        let mut client = self.cluster.create_database(name);
        wait_until("the setting is applied", PATIENCE, || {
            ask::<String>(&mut client, "SHOW hydra_webhooks.key_file") == self.file.to_string_lossy()
        });
        client
    }

    fn reload(&self) {
        self.cluster.set(&[]);
    }
}

fn emit(client: &mut Client, count: usize) {
    run(client, &format!("SELECT hydra.webhook_emit('ticket.created', '{{}}') FROM generate_series(1, {count})"));
}

#[track_caller]
fn arrives_verified(client: &mut Client, receiver: &Receiver, count: usize) {
    let before = receiver.received(PATH);
    emit(client, count);
    let requests = receiver.wait_for(PATH, before + count, PATIENCE);
    assert!(requests.iter().all(|request| request.signature == Signature::Verified));
}

#[test]
fn with_a_key_file_secrets_are_sealed_in_the_table_and_in_a_dump_and_requests_verify() {
    let vault = Vault::new(&[key('1')]);
    let mut client = vault.create_database("sealed");
    let receiver = Receiver::start();
    let (id, secret) = subscribe(&mut client, &receiver.url(PATH), "ticket.created", &[]);
    receiver.secret(PATH, &secret);
    arrives_verified(&mut client, &receiver, 3);
    let tested: i32 = ask(&mut client, &format!("SELECT status_code FROM hydra.webhook_send_test({id})"));
    assert_eq!(tested, 200);

    let fresh: String = ask(&mut client, &format!("SELECT hydra.webhook_rotate_secret({id}, '1 hour')"));
    receiver.secret(PATH, &fresh);
    wait_until("the new secret signs", PATIENCE, || {
        emit(&mut client, 1);
        wait_for_empty_queue(&mut client);
        receiver.requests(PATH).last().is_some_and(|request| request.signed_with(&secret) == Signature::Verified)
    });
    assert!(ask::<bool>(&mut client, SEALED));
    let prefix: String = ask(&mut client, "SELECT secret_prefix FROM hydra.webhook_subscriptions");
    assert_eq!(prefix, fresh[..12]);

    let dump = vault.cluster.program("pg_dump").args(["sealed", "--column-inserts"]).output().expect("pg_dump runs");
    let dump = String::from_utf8(dump.stdout).expect("UTF-8");
    assert!(dump.contains("sealed:") && !dump.contains(&secret) && !dump.contains(&fresh));
}

#[test]
fn with_a_key_file_values_of_headers_are_sealed_in_the_table_and_in_a_dump_and_arrive() {
    const HEADER: &str = r#"headers => '{"Authorization": "Bearer s3cret", "X-Route": "eu"}'"#;
    const SEALED_HEADERS: &str =
        "SELECT bool_and(h.value ^@ 'sealed:') FROM hydra.subscription, LATERAL jsonb_each_text(headers) AS h";
    let vault = Vault::new(&[key('1')]);
    vault.cluster.set(&[("hydra_webhooks.key_file", "")]);
    let mut client = vault.cluster.create_database("headers");
    wait_until("there is no key file", PATIENCE, || {
        ask::<String>(&mut client, "SHOW hydra_webhooks.key_file").is_empty()
    });
    let receiver = Receiver::start();
    subscribe(&mut client, &receiver.url(PATH), "ticket.created", &[HEADER]);
    assert!(!ask::<bool>(&mut client, SEALED_HEADERS));

    // Existing values are sealed on demand, with the secret.
    vault.cluster.set(&[("hydra_webhooks.key_file", vault.file.to_str().expect("a path in UTF-8"))]);
    wait_until("there is a key", PATIENCE, || client.batch_execute("SELECT hydra.webhook_seal_secrets()").is_ok());
    assert_eq!(ask::<i64>(&mut client, "SELECT hydra.webhook_seal_secrets()"), 3);
    assert!(ask::<bool>(&mut client, SEALED_HEADERS));
    // New values are sealed at once.
    let (new, _) = subscribe(&mut client, &receiver.url("/new"), "ticket.created", &[HEADER]);
    let other = r#"'{"Authorization": "Bearer s3cret-2"}'"#;
    run(&mut client, &format!("SELECT hydra.webhook_update({new}, headers => {other})"));
    assert!(ask::<bool>(&mut client, SEALED_HEADERS));
    let dump = vault.cluster.program("pg_dump").args(["headers", "--column-inserts"]).output().expect("pg_dump runs");
    let dump = String::from_utf8(dump.stdout).expect("UTF-8");
    assert!(dump.contains("Authorization") && !dump.contains("s3cret"));

    emit(&mut client, 1);
    assert_eq!(receiver.wait_for(PATH, 1, PATIENCE)[0].header("Authorization"), Some("Bearer s3cret"));
    assert_eq!(receiver.wait_for("/new", 1, PATIENCE)[0].header("Authorization"), Some("Bearer s3cret-2"));

    // A value that is copied to another header or another subscription is not sent: nothing is.
    for stolen in [
        "jsonb_build_object('X-Echo', headers -> 'Authorization')",
        "(SELECT v.headers FROM hydra.subscription AS v WHERE v.id <> s.id)",
    ] {
        run(&mut client, &format!("BEGIN; UPDATE hydra.subscription AS s SET headers = {stolen} WHERE id = {new}"));
        let refusal = refused(&mut client, &format!("SELECT hydra.webhook_send_test({new})"), "55000");
        assert!(refusal.detail.contains("belongs to another"), "{refusal:?}");
        run(&mut client, "ROLLBACK");
    }
}

/// Everything that a role could read: each view and table as each role, and a dump.
fn all_that_can_be_read(cluster: &Cluster, database: &str) -> String {
    let mut read = String::new();
    let mut client = cluster.connect(database);
    let relations = "SELECT format('%I.%I', n.nspname, c.relname)
                     FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
                     WHERE (n.nspname = 'hydra' AND c.relkind IN ('r', 'v')) OR c.relname = 'pg_stat_statements'";
    let relations: Vec<String> =
        client.query(relations, &[]).expect("the catalogue").iter().map(|row| row.get(0)).collect();
    for role in ["hydra_admin", "hydra_member", "hydra_analyst", "hydra_emitter", "hydra_worker", "postgres"] {
        for relation in &relations {
            run(&mut client, &format!("RESET ROLE; SET ROLE {role}"));
            // What the role may not read is refused. The owner and the worker may read the secrets.
            if relation == "hydra.signing_secret" && matches!(role, "postgres" | "hydra_worker") {
                continue;
            }
            if let Ok(rows) = client.simple_query(&format!("SELECT t::text FROM {relation} AS t")) {
                read.push_str(&format!("{rows:?}\n"));
            }
        }
    }
    let dump = cluster.program("pg_dump").args([database, "--column-inserts"]).output().expect("pg_dump runs");
    read.push_str(&String::from_utf8_lossy(&dump.stdout));
    read
}

#[test]
fn fifty_secrets_are_each_returned_once_and_found_nowhere_else() {
    if lacks(&mut crate::cluster().connect("postgres"), Need::Contrib("auto_explain")) {
        return;
    }
    let noisy = [
        ("shared_preload_libraries", "hydra_webhooks,pg_stat_statements,auto_explain"),
        ("pg_stat_statements.track", "all"),
        ("auto_explain.log_min_duration", "0"),
        ("auto_explain.log_nested_statements", "on"),
        ("auto_explain.log_verbose", "on"),
        ("debug_print_parse", "on"),
        ("debug_print_rewritten", "on"),
        ("debug_print_plan", "on"),
        ("debug_pretty_print", "off"),
        ("log_min_messages", "debug5"),
        ("log_statement", "all"),
        ("log_min_duration_statement", "0"),
        ("wal_level", "logical"),
        // A secret is a parameter of webhook_verify. The second one is of PostgreSQL 16.
        ("log_parameter_max_length", "0"),
        ("auto_explain.log_parameter_max_length", "0"),
    ];
    let cluster = Cluster::start(&noisy);
    let file = cluster.directory().join("keys");
    let vault = Vault { cluster, file };
    vault.write(&[key('7')], 0o600);
    vault.cluster.set(&[("hydra_webhooks.key_file", vault.file.to_str().expect("a path in UTF-8"))]);
    let mut client = vault.create_database("canaries");
    run(&mut client, "CREATE EXTENSION pg_stat_statements");
    run(&mut client, "SELECT pg_create_logical_replication_slot('canaries', 'test_decoding')");
    let receiver = Receiver::start();
    receiver.answer_first(PATH, 5, Answer::status(500));
    let mut secrets = Vec::new();
    for _ in 0..25 {
        let (id, secret) =
            subscribe(&mut client, &receiver.url(PATH), "ticket.created", &["retry_schedule => '{0 s}'"]);
        // Otherwise the secret that is passed to webhook_verify is a constant of the plan of that statement.
        run(&mut client, "SET plan_cache_mode = force_generic_plan");
        let verified = client.query_one("SELECT hydra.webhook_verify('{}', 't=1,v1=00', $1)", &[&secret]);
        run(&mut client, "RESET plan_cache_mode");
        assert!(!verified.expect("it can be called").get::<_, bool>(0));
        let fresh: String = ask(&mut client, &format!("SELECT hydra.webhook_rotate_secret({id}, '1 hour')"));
        run(&mut client, &format!("SELECT * FROM hydra.webhook_send_test({id})"));
        secrets.extend([secret, fresh]);
    }
    // A user gives two, as parameters.
    run(&mut client, "SET plan_cache_mode = force_generic_plan");
    let create = "SELECT id FROM hydra.webhook_create($1, '{ticket.created}', secret => $2)";
    let rotate = "SELECT hydra.webhook_rotate_secret($1, '1 hour', secret => $2)";
    let given = ["a-secret-of-another-sender", "another-secret-of-its-own"].map(str::to_owned);
    let id: i64 = client.query_one(create, &[&receiver.url(PATH), &given[0]]).expect("a subscription").get(0);
    client.execute(rotate, &[&id, &given[1]]).expect("it is rotated");
    run(&mut client, "RESET plan_cache_mode");
    secrets.extend(given);
    emit(&mut client, 2);
    wait_for_empty_queue(&mut client);
    run(&mut client, "SELECT hydra.webhook_seal_secrets()");
    let stream = client.query("SELECT data FROM pg_logical_slot_get_changes('canaries', NULL, NULL)", &[]);
    let stream: Vec<String> = stream.expect("the slot").iter().map(|row| row.get(0)).collect();
    assert!(stream.iter().any(|change| change.contains("hydra.signing_secret")), "the stream has the table");

    let (log, read) = (vault.cluster.log(), all_that_can_be_read(&vault.cluster, "canaries"));
    assert!(log.contains("Insert on hydra.signing_secret") && log.contains(":planTree"), "plans are in the log");
    assert!(log.contains("webhook_rotate_secret") && read.contains("sealed:") && read.contains("webhook_create"));
    let everything = [log, read, stream.join("\n")].concat();
    for secret in &secrets {
        assert!(!everything.contains(secret.as_str()), "a secret was found where it should not be");
        // Its first characters are shown, to distinguish secrets.
        assert!(!everything.contains(&secret[..16]), "more than the first characters was found");
        // Printed plans show constants as the numbers of their bytes.
        let bytes: Vec<String> = secret[..16].bytes().map(|byte| byte.to_string()).collect();
        assert!(!everything.contains(&bytes.join(" ")), "a secret was found in a printed plan");
    }
    assert_eq!(secrets.iter().collect::<std::collections::BTreeSet<_>>().len(), 52);
}

#[test]
fn while_its_key_is_missing_a_subscription_waits_loses_nothing_and_the_status_says_so() {
    let vault = Vault::new(&[key('1')]);
    let mut client = vault.create_database("missing");
    let receiver = Receiver::start();
    // A delivery that is unfinished after twice its schedule is given up. The time without the key does not count.
    // The retry is late enough for the key to be gone by then.
    let quick = ["retry_schedule => '{4 s}'", "timeout => '1 s'"];
    let (id, secret) = subscribe(&mut client, &receiver.url(PATH), "ticket.created", &quick);
    receiver.secret(PATH, &secret);
    receiver.answer_first(PATH, 2, Answer::status(500));
    emit(&mut client, 2);
    receiver.wait_for(PATH, 2, PATIENCE);
    // A subscription whose secret is not sealed continues.
    vault.cluster.set(&[("hydra_webhooks.key_file", "")]);
    wait_until("there is no key file", PATIENCE, || {
        ask::<String>(&mut client, "SHOW hydra_webhooks.key_file").is_empty()
    });
    let (_, plain) = subscribe(&mut client, &receiver.url("/plain"), "ticket.created", &[]);
    receiver.secret("/plain", &plain);
    wait_until("the status reports the missing key", PATIENCE, || {
        worker_status(&mut client, "detail").contains("key_file")
    });
    emit(&mut client, 5);
    receiver.wait_for("/plain", 5, PATIENCE);
    let refusal = refused(&mut client, &format!("SELECT hydra.webhook_send_test({id})"), "55000");
    assert!(refusal.detail.contains("sealed with key"), "{refusal:?}");

    // Also after a restart, and for longer than its schedule.
    drop(client);
    vault.cluster.stop(StopMode::Fast);
    vault.cluster.start_again();
    let mut client = vault.cluster.connect("missing");
    wait_until("the status reports the missing key again", PATIENCE, || {
        worker_status(&mut client, "detail").contains("key_file")
    });
    std::thread::sleep(std::time::Duration::from_secs(13));
    assert_eq!(receiver.received(PATH), 2);
    let attempts: i64 = ask(&mut client, "SELECT count(*) FROM hydra.webhook_history");
    assert_eq!(attempts, 2, "there were no further attempts");

    vault.cluster.set(&[("hydra_webhooks.key_file", vault.file.to_str().expect("a path in UTF-8"))]);
    let requests = receiver.wait_for(PATH, 9, PATIENCE);
    assert!(requests.iter().all(|request| request.signature == Signature::Verified));
    wait_for_empty_queue(&mut client);
    wait_until("all is well", PATIENCE, || worker_status(&mut client, "detail") == "events are sent");
}

#[test]
fn a_key_file_that_is_damaged_while_it_is_in_use_changes_nothing_and_the_status_says_so() {
    let vault = Vault::new(&[key('1')]);
    let mut client = vault.create_database("damaged");
    let receiver = Receiver::start();
    let (_, secret) = subscribe(&mut client, &receiver.url(PATH), "ticket.created", &["disable_after => 1"]);
    receiver.secret(PATH, &secret);
    emit(&mut client, 1);
    receiver.wait_for(PATH, 1, PATIENCE);
    vault.write(&["no key".to_owned()], 0o600);
    vault.reload();
    wait_until("the status reports the file", PATIENCE, || {
        worker_status(&mut client, "detail").contains("former keys")
    });
    emit(&mut client, 5);
    let requests = receiver.wait_for(PATH, 6, PATIENCE);
    assert!(requests.iter().all(|request| request.signature == Signature::Verified));
    vault.write(&[key('1')], 0o600);
    vault.reload();
    wait_until("all is well", PATIENCE, || worker_status(&mut client, "detail") == "events are sent");
}

#[test]
fn existing_secrets_are_sealed_on_demand_and_the_key_can_be_changed() {
    let vault = Vault::new(&[key('1')]);
    vault.cluster.set(&[("hydra_webhooks.key_file", "")]);
    let mut client = vault.cluster.create_database("changing");
    wait_until("there is no key file", PATIENCE, || {
        ask::<String>(&mut client, "SHOW hydra_webhooks.key_file").is_empty()
    });
    let receiver = Receiver::start();
    let (_, secret) = subscribe(&mut client, &receiver.url(PATH), "ticket.created", &[]);
    receiver.secret(PATH, &secret);
    assert!(!ask::<bool>(&mut client, SEALED));
    refused(&mut client, "SELECT hydra.webhook_seal_secrets()", "55000");
    vault.cluster.set(&[("hydra_webhooks.key_file", vault.file.to_str().expect("a path in UTF-8"))]);
    wait_until("there is a key", PATIENCE, || client.batch_execute("SELECT hydra.webhook_seal_secrets()").is_ok());
    assert!(ask::<bool>(&mut client, SEALED));
    arrives_verified(&mut client, &receiver, 3);

    let of_the_old_key: String = ask(&mut client, "SELECT left(secret, 23) FROM hydra.signing_secret");
    vault.write(&[key('2'), key('1')], 0o600);
    vault.reload();
    assert_eq!(ask::<i64>(&mut client, "SELECT hydra.webhook_seal_secrets()"), 1);
    vault.write(&[key('2')], 0o600);
    vault.reload();
    let of_the_new_key: String = ask(&mut client, "SELECT left(secret, 23) FROM hydra.signing_secret");
    assert_ne!(of_the_old_key, of_the_new_key);
    arrives_verified(&mut client, &receiver, 3);
    assert_eq!(ask::<i64>(&mut client, "SELECT hydra.webhook_seal_secrets()"), 1, "the new key is enough");
}

#[test]
fn a_sealed_secret_that_is_moved_to_another_subscription_signs_nothing() {
    let vault = Vault::new(&[key('1')]);
    let mut client = vault.create_database("moved");
    let receiver = Receiver::start();
    receiver.answer(PATH, Answer::ok());
    let (victim, _) = subscribe(&mut client, &receiver.url("/victim"), "ticket.created", &[]);
    let (thief, _) = subscribe(&mut client, &receiver.url(PATH), "ticket.created", &[]);
    run(
        &mut client,
        &format!(
            "UPDATE hydra.signing_secret AS k SET secret = v.secret FROM hydra.signing_secret AS v
             WHERE k.subscription_id = {thief} AND v.subscription_id = {victim}"
        ),
    );
    let refusal = refused(&mut client, &format!("SELECT hydra.webhook_send_test({thief})"), "55000");
    assert!(refusal.detail.contains("belongs to another"), "{refusal:?}");
    emit(&mut client, 2);
    receiver.wait_for("/victim", 2, PATIENCE);
    assert_eq!(receiver.received(PATH), 0);
}

#[test]
fn a_key_file_that_others_can_read_or_that_has_no_key_is_refused() {
    let vault = Vault::new(&[key('1')]);
    let mut client = vault.create_database("refused");
    let create = "SELECT hydra.webhook_create('http://127.0.0.1:9/', '{ticket.created}')";
    run(&mut client, create);
    for (lines, mode, why) in [
        (vec![key('1')], 0o644, "0600 is right"),
        (vec![key('1')], 0o620, "0600 is right"),
        (vec![key('1'), "no key".into()], 0o600, "line 2 is not a key"),
        (vec![], 0o600, "line 1 is not a key"),
    ] {
        vault.write(&lines, mode);
        let refusal = refused(&mut client, create, "F0000");
        assert!(refusal.detail.contains(why), "{refusal:?}");
    }
    fs::remove_file(&vault.file).expect("it was there");
    let refusal = refused(&mut client, create, "F0000");
    assert!(refusal.detail.contains("No such file"), "{refusal:?}");
}
