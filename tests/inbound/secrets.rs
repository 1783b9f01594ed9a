//! Secrets and URLs: how they are stored, and how they are replaced.

use std::process::Command;

use testkit::gateway::{Gateway, login};
use testkit::{Cluster, Need, PATIENCE, ask, lacks, run, wait_until};

use crate::{Adapter, Door, cluster, github, issue, pairs, path, write_keys};

fn accepted(door: &Door, adapter: &Adapter, secret: &str) -> bool {
    let body = issue(1).to_string();
    match door.post(adapter, &pairs(&github(secret, &format!("{:x}", rand_id()), &body)), &body).status {
        200 => true,
        401 => false,
        status => panic!("{status}"),
    }
}

fn rand_id() -> u128 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_nanos()
}

/// Makes an overlap end in a second. One that is so short from the start can end before both were tried.
fn shorten_overlap(door: &mut Door, of: &str) {
    let soon = "clock_timestamp() + interval '1 s'";
    door.bench.run(&format!("UPDATE hydra.inbound_{of} SET valid_until = {soon} WHERE valid_until IS NOT NULL"));
}

#[test]
fn during_an_overlap_both_secrets_and_both_urls_are_accepted_and_then_only_the_new_ones() {
    let mut door = Door::with_flow("both_accepted");
    let adapter = door.adapter("'\"ticket.created\"', 'github', 'first secret', requests_per_second => 1000");
    let id = adapter.id;
    assert!(accepted(&door, &adapter, "first secret"));
    door.bench.run(&format!("SELECT hydra.inbound_rotate_secret({id}, 'second secret', '1 h')"));
    assert!(accepted(&door, &adapter, "first secret") && accepted(&door, &adapter, "second secret"));
    shorten_overlap(&mut door, "secret");
    wait_until("the overlap is over", PATIENCE, || !accepted(&door, &adapter, "first secret"));
    door.bench.run(&format!("SELECT hydra.inbound_rotate_secret({id}, 'third secret')"));
    assert!(!accepted(&door, &adapter, "second secret") && accepted(&door, &adapter, "third secret"));

    let url: String = door.bench.ask(&format!("SELECT hydra.inbound_rotate_url({id}, '1 h')"));
    let new = Adapter { id, path: path(&url) };
    assert!(accepted(&door, &adapter, "third secret") && accepted(&door, &new, "third secret"));
    assert_eq!(door.column(&adapter, "prefix"), new.path[4..14]);
    shorten_overlap(&mut door, "path");
    wait_until("the old URL has ended", PATIENCE, || door.post(&adapter, &[], "{}").status == 404);
    let url: String = door.bench.ask(&format!("SELECT hydra.inbound_rotate_url({id})"));
    assert_eq!(door.post(&new, &[], "{}").status, 404);
    assert!(accepted(&door, &Adapter { id, path: path(&url) }, "third secret"));
}

#[test]
fn secrets_are_sealed_and_sealed_again_with_a_new_key() {
    let mut door = Door::with_flow("sealed");
    let adapter = door.adapter("'\"ticket.created\"', 'github', 'canary-of-a-secret'");
    let sealed = "SELECT string_agg(secret, ',') FROM hydra.inbound_secret";
    let before: String = door.bench.ask(sealed);
    assert!(before.starts_with("sealed:") && !before.contains("canary"), "{before}");
    let stored: String = door.bench.ask("SELECT string_agg(p::text, ',') FROM hydra.inbound_path AS p");
    assert!(!stored.contains(&adapter.path[15..]), "{stored}");
    write_keys(cluster(), &["2", "1"]);
    assert!(accepted(&door, &adapter, "canary-of-a-secret"));
    assert_eq!(door.bench.ask::<i64>("SELECT hydra.webhook_seal_secrets()"), 1);
    let after: String = door.bench.ask(sealed);
    assert_ne!(before[..23], after[..23], "it is sealed with another key");
    assert!(accepted(&door, &adapter, "canary-of-a-secret"));
    write_keys(cluster(), &["1", "2"]);
}

/// A cluster of its own, because its file is missing for a while.
#[test]
fn while_the_file_with_the_keys_is_missing_a_request_is_asked_to_come_again_and_kept_with_the_reason() {
    let cluster = Cluster::start(&[]);
    let keys = cluster.directory().join("keys");
    write_keys(&cluster, &["1"]);
    cluster.set(&[("hydra_webhooks.key_file", keys.to_str().expect("a path in UTF-8"))]);
    let mut client = cluster.create_database("keyless");
    wait_until("the setting is applied", PATIENCE, || {
        ask::<String>(&mut client, "SHOW hydra_webhooks.key_file") == keys.to_string_lossy()
    });
    let create = "SELECT url FROM hydra.inbound_create('x', '\"ticket.created\"', 'github', 'a secret')";
    let token = ask::<String>(&mut client, create).rsplit('/').next().expect("a token").to_owned();
    std::fs::remove_file(&keys).expect("it is there");
    let request = format!(
        "SELECT status FROM hydra.serve(1, 'inbound', sha256('{token}'), 'POST', '/in', '', '[[\"x-github-delivery\", \"1\"]]', '{{}}', NULL)"
    );
    assert_eq!(ask::<i32>(&mut client, &request), 503);
    let kept: String = ask(&mut client, "SELECT stage || ': ' || reason FROM hydra.inbound_refusals");
    assert_eq!(kept, "secret: the secrets of the adapter cannot be read: hydra_webhooks.key_file cannot be used");
}

#[test]
fn no_secret_and_no_url_gets_into_the_log_or_the_statistics_of_statements() {
    let door = Door::with_flow("unlogged");
    let mut client = door.bench.session();
    if lacks(&mut client, Need::Contrib("auto_explain")) {
        return;
    }
    // What people type is theirs, so their parameters are not logged. All statements that the functions run are.
    run(
        &mut client,
        "SET log_min_duration_statement = 0; SET log_parameter_max_length = 0; SET debug_print_plan = on; LOAD 'auto_explain';
         SET auto_explain.log_min_duration = 0; SET auto_explain.log_nested_statements = on",
    );
    if testkit::version(&mut client) >= 16 {
        run(&mut client, "SET auto_explain.log_parameter_max_length = 0");
    }
    let create = "SELECT id, url FROM hydra.inbound_create('x', '\"ticket.created\"', 'github', $1)";
    let row = client.query_one(create, &[&"unseen-secret-1"]).expect("it is created");
    let adapter = Adapter { id: row.get(0), path: path(&row.get::<_, String>(1)) };
    let rotate = "SELECT hydra.inbound_rotate_secret($1, $2, '1 d')";
    client.query(rotate, &[&adapter.id, &"unseen-secret-2"]).expect("it is rotated");
    assert!(accepted(&door, &adapter, "unseen-secret-2"));
    let log = cluster().log();
    assert!(log.contains("INSERT INTO hydra.inbound_secret"), "the statement that stores it is in the log");
    assert!(!log.contains("unseen-secret"), "a secret is in the log");
    assert!(!log.contains(&adapter.path[15..]), "a URL is in the log");
}

#[test]
fn a_dump_keeps_adapters_and_their_urls_work_in_the_restored_database() {
    let mut door = Door::with_flow("dumped");
    let adapter = door.adapter("'\"ticket.created\"', 'github', 'canary-of-a-secret'");
    let dump = door.bench.cluster.directory().join("dumped.sql");
    let execute = |mut command: Command| {
        let output = command.output().expect("it runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    let mut command = door.bench.cluster.program("pg_dump");
    command.arg("--file").arg(&dump).arg("dumped");
    execute(command);
    let text = std::fs::read_to_string(&dump).expect("a dump");
    assert!(!text.contains("canary") && !text.contains(&adapter.path[15..]), "a dump is no credential");
    door.bench.run("CREATE DATABASE restored_door");
    let mut command = door.bench.cluster.program("psql");
    command.args(["-Xq", "-v", "ON_ERROR_STOP=1", "-d", "restored_door", "-f"]).arg(&dump);
    execute(command);
    let gateway = Gateway::start_for(&login(cluster(), "restored_door"), &[]).when_ready();
    let body = issue(1).to_string();
    let headers = github("canary-of-a-secret", "1", &body);
    let answer = gateway.connect().request("POST", &adapter.path, &pairs(&headers), body.as_bytes());
    assert_eq!(answer.status, 200, "{answer:?}");
}
