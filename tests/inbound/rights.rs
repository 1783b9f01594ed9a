//! Who may do what with adapters.

use postgres::Client;
use testkit::{ask, refusal, run};

use crate::{Door, cluster, post};

/// Calls of all functions that manage adapters.
const CALLS: [&str; 9] = [
    "hydra.inbound_create('x', '\"ticket.created\"')",
    "hydra.inbound_update(1, name => 'y')",
    "hydra.inbound_pause(1)",
    "hydra.inbound_resume(1)",
    "hydra.inbound_rotate_url(1)",
    "hydra.inbound_rotate_secret(1, 'secret')",
    "hydra.inbound_try(1, '{}', '')",
    "hydra.inbound_replay(1)",
    "hydra.inbound_delete(1)",
];

#[track_caller]
fn assert_denied(client: &mut Client, sql: &str) {
    assert_eq!(refusal(client, sql).code, "42501", "{sql}");
}

#[test]
fn an_admin_manages_adapters_others_see_them_and_nobody_reads_a_secret() {
    let mut door = Door::with_flow("rights");
    door.adapter("'\"ticket.created\"', 'github', 'secret'");
    for role in ["member", "analyst", "api", "far_gateway"] {
        let mut client = cluster().connect_as("rights", role);
        for call in CALLS {
            assert_denied(&mut client, &format!("SELECT {call}"));
        }
        for view in ["inbound_adapters", "inbound_events", "inbound_refusals"] {
            let sql = format!("SELECT count(*) FROM hydra.{view}");
            match role {
                "member" | "analyst" => _ = ask::<i64>(&mut client, &sql),
                _ => assert_denied(&mut client, &sql),
            }
        }
    }
    for role in ["admin", "member", "analyst", "api", "far_gateway"] {
        let mut client = cluster().connect_as("rights", role);
        let tables = ["adapter", "path", "secret", "event", "refused", "count"];
        for table in tables {
            assert_denied(&mut client, &format!("SELECT * FROM hydra.inbound_{table}"));
            assert_denied(&mut client, &format!("DELETE FROM hydra.inbound_{table}"));
        }
        for call in [
            "hydra._given_inbound_secret(1)",
            "hydra._given_inbound_token(1)",
            "hydra._reseal_inbound_secret('x', 1)",
            "hydra._reseal_inbound_token('x', 1)",
            "hydra._replace_inbound_path(1, NULL, '', '')",
            "hydra._replace_inbound_secret(1, NULL)",
            "hydra._replay_inbound(1, NULL, NULL)",
            "hydra._seal_inbound_secrets()",
        ] {
            assert_denied(&mut client, &format!("SELECT {call}"));
        }
    }
    let mut admin = cluster().connect_as("rights", "admin");
    let made = "SELECT created_by || ' ' || provider FROM hydra.inbound_adapters WHERE id = 2";
    for call in CALLS {
        run(&mut admin, &format!("SELECT {call}"));
        if call.contains("create") {
            assert_eq!(ask::<String>(&mut admin, made), "admin none");
        }
    }
    assert_eq!(ask::<i64>(&mut admin, "SELECT count(*) FROM hydra.inbound_adapters"), 1);
}

#[test]
fn an_extension_that_is_dropped_while_requests_run_leaves_no_request_hanging() {
    let mut door = Door::open("dropped");
    let adapter = door.adapter("'\"ticket.created\"', requests_per_second => 10000");
    let gateway = &door.gateway;
    std::thread::scope(|scope| {
        let send = || {
            let statuses: Vec<u16> = (0..30).map(|_| post(gateway, &adapter, &[], "{}").status).collect();
            assert!(statuses.iter().all(|status| matches!(status, 200 | 404 | 500 | 503)), "{statuses:?}");
        };
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(send)).collect();
        run(&mut cluster().connect("dropped"), "DROP EXTENSION hydra_webhooks CASCADE");
        for thread in threads {
            thread.join().expect("every request was answered");
        }
    });
}
