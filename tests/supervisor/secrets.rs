//! The password of the gateway is nowhere where somebody could read it.

use std::fs;

use testkit::{Cluster, Need, ask, lacks, run};

use crate::{assert_answers, start, wait_for_gateway, wait_for_new_gateway};

/// Whether a text has something that looks like the password: 64 hexadecimal digits in a row.
fn has_password(text: &str) -> bool {
    text.split(|character: char| !character.is_ascii_hexdigit()).any(|word| word.len() == 64)
}

#[test]
fn the_password_is_in_no_log_no_statement_and_no_argument() {
    assert!(has_password(&format!("password='{}'", "0a".repeat(32))));
    let plain = Cluster::start(&[]);
    let mut client = plain.connect("postgres");
    if lacks(&mut client, Need::Contrib("pg_stat_statements")) || lacks(&mut client, Need::Contrib("auto_explain")) {
        return;
    }
    let (cluster, mut client) = start(&[
        ("shared_preload_libraries", "pg_stat_statements, auto_explain, hydra_webhooks"),
        ("log_statement", "all"),
        ("log_min_duration_statement", "0"),
        ("log_min_messages", "debug1"),
        ("log_connections", "on"),
        ("log_disconnections", "on"),
        ("log_parameter_max_length", "-1"),
        ("log_parameter_max_length_on_error", "-1"),
        ("auto_explain.log_min_duration", "0"),
        ("auto_explain.log_nested_statements", "on"),
        ("pg_stat_statements.track", "all"),
        ("track_activity_query_size", "16kB"),
    ]);
    run(&mut client, "CREATE EXTENSION pg_stat_statements");
    let first = wait_for_gateway(&mut client);
    cluster.signal("KILL", first);
    let gateway = wait_for_new_gateway(&mut client, first);
    assert_answers(&mut client);
    let log = cluster.log();
    assert!(log.contains("_set_gateway_verifier"), "plans of the worker are logged");
    assert!(!has_password(&log), "the log has the password");
    assert!(!log.contains("SCRAM-SHA-256$"), "the log has the verifier");
    for shown in ["pg_stat_statements", "pg_stat_activity", "pg_settings", "pg_file_settings", "hydra.gateway_status"] {
        let rows: String =
            ask(&mut client, &format!("SELECT coalesce(string_agg(s::text, '\n'), '') FROM {shown} AS s"));
        assert!(!has_password(&rows) && !rows.contains("SCRAM-SHA-256$"), "{shown}");
    }
    for file in ["cmdline", "environ"] {
        let text = fs::read_to_string(format!("/proc/{gateway}/{file}")).expect("it lives");
        assert!(!has_password(&text), "{file}");
    }
}
