//! API keys: who can make which, and when a key ends.

use testkit::{Need, ask, lacks, refused, run};
use wire::token::{Kind, is_well_formed};

use crate::{Answer, Request, Seam, cluster, create_key};

/// The key in a request, through a gateway.
#[track_caller]
fn use_key(database: &str, key: &str) -> Answer {
    let mut gateway = cluster().connect_as(database, "far_gateway");
    Request::new("rest", Some(key), "GET", "/api/v1/me").make(&mut gateway)
}

#[test]
fn a_key_acts_as_its_role_in_its_tenant() {
    let mut seam = Seam::new("acting");
    let answer = use_key("acting", &seam.key);
    assert_eq!(answer.status, 200, "{answer:?}");
    let me = answer.json();
    let id: i64 = ask(&mut seam.bench.client, "SELECT id FROM hydra.api_keys");
    assert_eq!(
        (me["role"].as_str(), me["tenant_id"].as_str(), me["key"].as_i64()),
        (Some("app"), Some("acme"), Some(id))
    );
    assert_eq!(answer.header("hydra-key"), Some(id.to_string().as_str()));
    assert_eq!(answer.header("hydra-quota"), Some("600"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
}

#[test]
fn a_key_is_shown_once_and_only_its_hash_is_stored() {
    let mut seam = Seam::new("stored");
    let key = seam.key.clone();
    assert!(is_well_formed(Kind::ApiKey, &key), "{key}");
    assert_eq!(ask::<String>(&mut seam.bench.client, "SELECT prefix FROM hydra.api_keys"), key[..10]);
    let dump = seam.bench.cluster.program("pg_dump").args(["--dbname", "stored"]).output().unwrap();
    let dump = String::from_utf8(dump.stdout).unwrap();
    assert!(dump.contains("hydra.api_key_hash"), "keys are in a dump");
    use sha2::Digest;
    let credential = hex::encode(sha2::Sha256::digest(&key));
    assert!(!dump.contains(&key[10..]) && !dump.contains(&credential));
}

#[test]
fn no_key_gets_into_the_log_of_the_server() {
    let seam = Seam::new("logged");
    let mut chatty = seam.bench.session();
    if lacks(&mut chatty, Need::Contrib("auto_explain")) {
        return;
    }
    run(
        &mut chatty,
        "LOAD 'auto_explain'; SET auto_explain.log_min_duration = 0; SET auto_explain.log_nested_statements = on;
         SET auto_explain.log_verbose = on; SET debug_print_plan = on; SET debug_print_parse = on; SET log_statement = 'all';
         SET log_min_messages = debug1; SET log_parameter_max_length = -1",
    );
    let first = create_key(&mut chatty, "role => 'app'");
    let rotated: String = ask(&mut chatty, "SELECT hydra.api_key_rotate(max(id)) FROM hydra.api_keys");
    let link: String = ask(&mut chatty, "SELECT hydra.console_link('hydra_admin')");
    let token = link.rsplit('/').next().unwrap();
    let log = cluster().log();
    assert!(log.contains("_insert_api_key"), "the statements are logged");
    for secret in [&first, &rotated, token] {
        assert!(!log.contains(&secret[10..]), "{secret}");
    }
    assert_eq!(use_key("logged", &seam.key).status, 200);
    drop(seam.bench.client);
}

#[test]
fn a_revoked_an_expired_and_an_unknown_key_get_the_same_answer() {
    let mut seam = Seam::new("ended_keys");
    let client = &mut seam.bench.client;
    let expired = create_key(client, "role => 'app', expires_at => now() + interval '1 h'");
    run(
        client,
        "UPDATE hydra.api_key SET created_at = now() - interval '2 h', expires_at = now() - interval '1 h' WHERE expires_at IS NOT NULL",
    );
    assert_eq!(use_key("ended_keys", &seam.key).status, 200);
    run(client, "SELECT hydra.api_key_revoke(id) FROM hydra.api_keys WHERE tenant_id = 'acme'");
    let without_id = |answer: Answer| {
        let mut body = answer.json();
        body["request_id"].take();
        (answer.status, body.to_string(), answer.headers.len())
    };
    let unknown = without_id(use_key("ended_keys", "hyk_unknown"));
    assert_eq!(unknown.0, 401);
    assert_eq!(without_id(use_key("ended_keys", &seam.key)), unknown);
    assert_eq!(without_id(use_key("ended_keys", &expired)), unknown);
    let mut gateway = cluster().connect_as("ended_keys", "far_gateway");
    assert_eq!(without_id(Request::new("rest", None, "GET", "/api/v1/me").make(&mut gateway)), unknown);
    assert_eq!(without_id(Request::new("rest", None, "GET", "/api/v1/other").make(&mut gateway)), unknown);
    let states: String = ask(client, "SELECT string_agg(state, ' ' ORDER BY state) FROM hydra.api_keys");
    assert_eq!(states, "expired revoked");
}

#[test]
fn after_a_rotation_the_old_key_is_accepted_for_the_overlap_only() {
    let mut seam = Seam::new("rotated");
    let client = &mut seam.bench.client;
    let second: String = ask(client, "SELECT hydra.api_key_rotate(1, '1 h')");
    for key in [&seam.key, &second] {
        assert_eq!(use_key("rotated", key).status, 200);
    }
    assert_eq!(ask::<String>(client, "SELECT prefix FROM hydra.api_keys"), second[..10]);
    let third: String = ask(client, "SELECT hydra.api_key_rotate(1)");
    for (key, status) in [(&seam.key, 401), (&second, 401), (&third, 200)] {
        assert_eq!(use_key("rotated", key).status, status);
    }
    refused(client, "SELECT hydra.api_key_rotate(1, '-1 s')", "22023");
    run(client, "SELECT hydra.api_key_revoke(1)");
    refused(client, "SELECT hydra.api_key_rotate(1)", "55000");
    assert_eq!(use_key("rotated", &third).status, 401);
}

#[test]
fn no_request_acts_as_a_role_with_more_rights_than_a_request_may_have() {
    let mut seam = Seam::new("powers");
    let client = &mut seam.bench.client;
    run(client, "CREATE ROLE powerful; CREATE ROLE heir IN ROLE powerful");
    let create = |role: &str| format!("SELECT hydra.api_key_create('x', '{{mcp}}', role => '{role}')");
    let own = create_key(client, "role => 'powerful'");
    let inherited = create_key(client, "role => 'heir'");
    for (attribute, back) in [
        ("SUPERUSER", "NOSUPERUSER"),
        ("BYPASSRLS", "NOBYPASSRLS"),
        ("CREATEROLE", "NOCREATEROLE"),
        ("REPLICATION", "NOREPLICATION"),
    ] {
        run(client, &format!("ALTER ROLE powerful {attribute}"));
        for (role, key) in [("powerful", &own), ("heir", &inherited)] {
            let refusal = refused(client, &create(role), "42501");
            assert!(refusal.message.contains(role), "{refusal:?}");
            assert_eq!(use_key("powers", key).status, 401, "{role} after ALTER ROLE powerful {attribute}");
        }
        run(client, &format!("ALTER ROLE powerful {back}"));
        for key in [&own, &inherited] {
            assert_eq!(use_key("powers", key).status, 200);
        }
    }
    for role in [
        "postgres",
        "hydra_worker",
        "hydra_gateway",
        "hydra_gateway_embedded",
        "pg_read_all_data",
        "pg_execute_server_program",
    ] {
        refused(client, &create(role), "42501");
    }
    refused(client, &create("nobody"), "42704");
    run(client, "DROP ROLE heir");
    assert_eq!(use_key("powers", &inherited).status, 401);
    // A new role of the same name is another role.
    run(client, "CREATE ROLE heir");
    assert_eq!(use_key("powers", &inherited).status, 401);
    run(client, "DROP ROLE heir; DROP ROLE powerful");
}

#[test]
fn an_admin_makes_keys_only_for_roles_that_the_admin_is_a_member_of() {
    let mut seam = Seam::new("members");
    let mut admin = cluster().connect_as("members", "admin");
    refused(&mut admin, "SELECT hydra.api_key_create('x', '{mcp}', role => 'app')", "42501");
    refused(&mut admin, "SELECT hydra.api_key_rotate(1)", "42501");
    refused(&mut admin, "SELECT hydra.console_link('app')", "42501");
    for role in ["hydra_api", "hydra_member", "hydra_analyst", "hydra_admin"] {
        run(&mut admin, &format!("SELECT hydra.console_link('{role}')"));
    }
    let key = create_key(&mut admin, "tenant_id => 'acme'");
    assert_eq!(use_key("members", &key).json()["role"], "hydra_api");
    let made_by: String =
        ask(&mut seam.bench.client, "SELECT created_by FROM hydra.api_keys WHERE role = 'hydra_api'::regrole");
    assert_eq!(made_by, "admin");
}

#[test]
fn every_wrong_argument_of_a_key_is_refused() {
    let mut seam = Seam::new("arguments");
    let client = &mut seam.bench.client;
    for (arguments, code) in [
        ("NULL, '{mcp}'", "22023"),
        ("'', '{mcp}'", "22023"),
        ("repeat('x', 201), '{mcp}'", "22023"),
        ("'x', NULL", "22023"),
        ("'x', '{}'", "22023"),
        ("'x', '{NULL}'", "22023"),
        ("'x', '{everything}'", "22023"),
        ("'x', '{webhooks:write}'", "22023"),
        ("'x', '{mcp}', tenant_id => ''", "22023"),
        ("'x', '{mcp}', tenant_id => repeat('x', 1025)", "22023"),
        ("'x', '{mcp}', expires_at => now()", "22023"),
        ("'x', '{mcp}', approval => 'nobody'", "22023"),
        ("'x', '{mcp}', requests_per_minute => 0", "22023"),
        ("'x', '{mcp}', role => ''", "42704"),
    ] {
        refused(client, &format!("SELECT hydra.api_key_create({arguments})"), code);
    }
    for (call, code) in [
        ("hydra.api_key_revoke(NULL)", "42704"),
        ("hydra.api_key_revoke(99)", "42704"),
        ("hydra.api_key_rotate(NULL)", "42704"),
        ("hydra.api_key_rotate(99)", "42704"),
        ("hydra.api_key_rotate(1, NULL)", "22023"),
        ("hydra.api_key_rotate(1, '31 days')", "22023"),
        ("hydra.console_link(NULL)", "42704"),
        ("hydra.console_link('hydra_admin', '')", "22023"),
        ("hydra.console_link('hydra_admin', NULL, '0')", "22023"),
        ("hydra.console_link('hydra_admin', NULL, '25 h')", "22023"),
        ("hydra.console_link('hydra_admin', NULL, NULL)", "22023"),
    ] {
        refused(client, &format!("SELECT {call}"), code);
    }
}
