//! By default everything that arrives for the tables of the extension is ignored, and the application's stream goes on.

use std::collections::BTreeMap;

use testkit::receiver::entity_ids;
use testkit::{Bench, ask, run, wait_for_state, worker_status};

use crate::{PATH, assert_no_error, follow, publish, replicate_ticket, shop, start};

/// A row in each table that does not have one, with the same keys in both clusters. No dispatcher runs. The number of the
/// event is one that the sequence does not reach.
const ROWS: &str = "
    INSERT INTO hydra.removed_event_type (name) VALUES ('removed.' || ours());
    INSERT INTO hydra.subscription_health VALUES (1, 1, '2026-01-01', '0', NULL);
    INSERT INTO hydra.former_subscription (id, name, url) VALUES (1000001, ours(), 'https://example.com/');
    INSERT INTO hydra.event (xid, id, event_type, entity_type, entity_id, entity, targets)
    VALUES ('3', 1000001, 'ticket.created', 'ticket', ours(), format('{\"id\": \"%s\"}', ours()), '{1}');
    INSERT INTO hydra.delivery (id, subscription_id, event_id, event_random, installation, event_type, entity_type,
                                emitted_at, preset, body, state, failed_at)
    VALUES ('00000000-0000-0000-0000-000000000001', 1, 1, 1, hydra._installation(), 'ticket.created', 'ticket', now(),
            'hydra', ours(), 'failed', now());
    INSERT INTO hydra.delivered (id, subscription_id, event_id, event_random, installation, event_type, entity_type, emitted_at,
                                 preset, body, attempts, status_code, response_excerpt, response_ms, delivered_at, kept_until)
    VALUES ('00000000-0000-0000-0000-000000000002', 1, 1, 1, hydra._installation(), 'ticket.created', 'ticket', now(),
            'hydra', ours(), 1, 200, '', 1, now(), now() + interval '1 day');
    INSERT INTO hydra.kept_event (id, event_type, source, entity_type, operation, part, sqlstate, reason, entity)
    VALUES (1, 'ticket.created', 'ticket', 'ticket', 'insert', 'condition', '42703', ours(), '{}');
    INSERT INTO hydra.attempt (id, delivery_id, event_uuid, subscription_id, event_id, event_type, entity_type, emitted_at, attempt, status_code, attempted_at)
    VALUES (1, '00000000-0000-0000-0000-000000000001', gen_random_uuid(), 1, 1, ours(), 'ticket', now(), 1, 200, now());
    INSERT INTO hydra.delivery_count (subscription_id, hour, response_times)
    VALUES (1, '2026-01-01 00:00Z', array_fill(0::bigint, '{73}'));
    INSERT INTO hydra.attempt_count (hour, subscription_id, event_type, tenant_id, status_code, error_class)
    VALUES ('2026-01-01 00:00Z', 1, 'ticket.created', ours(), 200, ''), ('2026-01-01 00:00Z', 1, 'ticket.created', '', 200, '');
    INSERT INTO hydra.api_key (id, name, scopes, role, created_by) VALUES (1, ours(), '{mcp}', 'hydra_api', 'dba');
    INSERT INTO hydra.api_key_hash (hash, key_id, prefix) VALUES (decode(repeat('01', 32), 'hex'), 1, 'hyk_abcdef');
    INSERT INTO hydra.api_resource (id, name, relation, id_column, readable, created_by)
    VALUES (1, 'tickets', 'pg_class', 'oid', '{oid}', ours());
    INSERT INTO hydra.tool (id, name, title, schema_name, function_name, arguments, owner, writes, scope, created_by)
    VALUES (1, 'ask', ours(), 'public', 'f', '', 'hydra_api', false, 'data:read', 'dba');
    INSERT INTO hydra.api_idempotency (key_id, idempotency_key, fingerprint, status, headers, body)
    VALUES (1, '1', decode(repeat('06', 32), 'hex'), 201, '[]', convert_to(ours(), 'UTF8'));
    INSERT INTO hydra.approval (id, key_id, tool, arguments, preview, digest, varying, mode, expires_at)
    VALUES (1, 1, ours(), '{}', '{}', decode(repeat('07', 32), 'hex'), '[]', 'console', now() + interval '1 day');
    INSERT INTO hydra.login_link (hash, role, created_by, valid_until)
    VALUES (decode(repeat('02', 32), 'hex'), 'hydra_admin', ours(), now() + interval '1 day');
    INSERT INTO hydra.console_session (hash, role, tenant_id, expires_at)
    VALUES (decode(repeat('03', 32), 'hex'), 'hydra_admin', ours(), now() + interval '1 day');
    INSERT INTO hydra.console_submission (session_hash, once) VALUES (decode(repeat('03', 32), 'hex'), ours());
    INSERT INTO hydra.gateway (id, version, address) VALUES ('00000000-0000-0000-0000-000000000001', '1', ours());
    INSERT INTO hydra.inbound_adapter (id, name, mapping) VALUES (1, ours(), '{\"*\": \"ticket.created\"}');
    INSERT INTO hydra.inbound_path (hash, adapter_id, prefix) VALUES (decode(repeat('04', 32), 'hex'), 1, 'hyi_abcdef');
    INSERT INTO hydra.inbound_secret (id, adapter_id, secret) VALUES (1, 1, ours());
    INSERT INTO hydra.inbound_event (id, adapter_id, payload, state, error, sqlstate)
    VALUES (1, 1, to_json(ours()), 'failed', 'it failed', 'P0001');
    INSERT INTO hydra.inbound_refused (id, adapter_id, stage, reason, method, headers, body, size)
    VALUES (1, 1, 'paused', ours(), 'POST', '[]', '', 0);
    INSERT INTO hydra.inbound_count (adapter_id, slot, received) VALUES (1, 1, 1);
    INSERT INTO hydra.flow (id, name, event, function, owner, created_by)
    VALUES (1, ours(), 'ticket.created', 'public.f(jsonb)', 'hydra_api', 'dba');
    INSERT INTO hydra.flow_run (id, flow_id, inbound_event_id, mode, state, started_at, duration, result)
    VALUES (1, 1, 1, 'deployed', 'done', now(), '1 s', to_jsonb(ours()));
    INSERT INTO hydra.flow_rehearsal (flow_id, inbound_event_id, argument) VALUES (1, 1, to_json(ours()));
    INSERT INTO hydra.mail_secret (secret) VALUES ('sealed:0123456789abcdef:' || encode(convert_to(ours(), 'UTF8'), 'base64'));
    INSERT INTO hydra.mail_channel (id, address, function, owner, created_by)
    VALUES (1, 'support@helpdesk.test', 'public.f(jsonb)', 'hydra_api', ours());
    INSERT INTO hydra.mail_thread (id, tenant_id, entity_type, entity_id, tag) VALUES (1, ours(), 'ticket', '1', 'abcdefgh');
    INSERT INTO hydra.mail_participant (thread_id, address) VALUES (1, ours());
    INSERT INTO hydra.mail_known_id (message_id, thread_id, sent) VALUES (ours(), 1, true);
    INSERT INTO hydra.mail_message (id, channel_id, key, recipient, subject, size)
    VALUES (1, 1, decode(repeat('05', 32), 'hex'), 'support@helpdesk.test', ours(), 1);
    INSERT INTO hydra.mail_raw (mail_message_id, raw) VALUES (1, convert_to(ours(), 'UTF8'));
    INSERT INTO hydra.identity (namespace, system_identifier, database_oid, server_version)
    SELECT '00000000-0000-0000-0000-000000000001', i.system_identifier, i.database_oid, i.server_version
    FROM hydra.identity AS i";

/// A change of every row of every table, and new rows.
const CHANGES: [&str; 3] = [
    "UPDATE hydra.event_type SET description = 'changed' WHERE origin <> 'extension';
     UPDATE hydra.removed_event_type SET name = 'removed.changed';
     UPDATE hydra.preset SET timeout = '9 s';
     UPDATE hydra.subscription SET url = url || '/changed';
     UPDATE hydra.signing_secret SET valid_from = now() - interval '1 day';
     UPDATE hydra.subscription_health SET consecutive_failures = 7;
     UPDATE hydra.former_subscription SET name = 'changed';
     UPDATE hydra.event SET targets = '{7}';
     UPDATE hydra.delivery SET body = 'changed';
     UPDATE hydra.delivered SET body = 'changed';
     UPDATE hydra.kept_event SET reason = 'changed';
     UPDATE hydra.api_key SET name = 'changed';
     UPDATE hydra.api_key_hash SET prefix = 'hyk_change';
     UPDATE hydra.api_resource SET created_by = 'changed';
     UPDATE hydra.tool SET title = 'changed';
     UPDATE hydra.api_idempotency SET body = 'changed';
     UPDATE hydra.approval SET tool = 'changed';
     UPDATE hydra.login_link SET created_by = 'changed';
     UPDATE hydra.console_session SET tenant_id = 'changed';
     UPDATE hydra.console_submission SET once = 'changed';
     UPDATE hydra.gateway SET address = 'changed';
     UPDATE hydra.inbound_adapter SET name = 'changed';
     UPDATE hydra.inbound_path SET prefix = 'hyi_change';
     UPDATE hydra.inbound_secret SET secret = 'changed';
     UPDATE hydra.inbound_event SET error = 'changed';
     UPDATE hydra.inbound_refused SET reason = 'changed';
     UPDATE hydra.inbound_count SET received = 7;
     UPDATE hydra.flow SET name = 'changed';
     UPDATE hydra.flow_run SET result = '7';
     UPDATE hydra.flow_rehearsal SET attempts = 7;
     UPDATE hydra.mail_secret SET secret = 'sealed:0123456789abcdef:changed';
     UPDATE hydra.mail_channel SET created_by = 'changed';
     UPDATE hydra.mail_thread SET tenant_id = 'changed';
     UPDATE hydra.mail_participant SET address = 'changed';
     UPDATE hydra.mail_known_id SET sent = false;
     UPDATE hydra.mail_message SET subject = 'changed';
     UPDATE hydra.mail_raw SET raw = 'changed';
     UPDATE hydra.attempt SET event_type = 'changed';
     UPDATE hydra.delivery_count SET delivered = 7;
     UPDATE hydra.attempt_count SET attempts = 7;
     UPDATE hydra.identity SET adopted_at = now() + interval '1 day'",
    "DELETE FROM hydra.identity;
     DELETE FROM hydra.delivery_count;
     DELETE FROM hydra.attempt_count;
     DELETE FROM hydra.attempt;
     DELETE FROM hydra.delivery;
     DELETE FROM hydra.delivered;
     DELETE FROM hydra.kept_event;
     DELETE FROM hydra.api_idempotency;
     DELETE FROM hydra.approval;
     DELETE FROM hydra.api_key;
     DELETE FROM hydra.api_resource;
     DELETE FROM hydra.tool;
     DELETE FROM hydra.login_link;
     DELETE FROM hydra.console_session;
     DELETE FROM hydra.gateway;
     DELETE FROM hydra.inbound_adapter;
     DELETE FROM hydra.inbound_event;
     DELETE FROM hydra.inbound_refused;
     DELETE FROM hydra.inbound_count;
     DELETE FROM hydra.flow;
     DELETE FROM hydra.flow_run;
     DELETE FROM hydra.flow_rehearsal;
     DELETE FROM hydra.mail_secret;
     DELETE FROM hydra.mail_channel;
     DELETE FROM hydra.mail_message;
     DELETE FROM hydra.mail_thread;
     DELETE FROM hydra.event;
     DELETE FROM hydra.subscription;
     DELETE FROM hydra.former_subscription;
     DELETE FROM hydra.preset;
     DELETE FROM hydra.removed_event_type;
     DELETE FROM hydra.event_type",
    "TRUNCATE hydra.event_type, hydra.removed_event_type, hydra.preset, hydra.subscription, hydra.signing_secret, hydra.subscription_health, hydra.former_subscription,
              hydra.event, hydra.delivery, hydra.delivered, hydra.kept_event, hydra.attempt, hydra.delivery_count, hydra.attempt_count, hydra.identity,
              hydra.api_key, hydra.api_key_hash, hydra.api_resource, hydra.tool, hydra.api_idempotency, hydra.approval, hydra.login_link, hydra.console_session, hydra.console_submission,
              hydra.gateway, hydra.inbound_adapter, hydra.inbound_path, hydra.inbound_secret, hydra.inbound_event,
              hydra.inbound_refused, hydra.inbound_count, hydra.flow, hydra.flow_run, hydra.flow_rehearsal,
              hydra.mail_secret, hydra.mail_channel, hydra.mail_thread, hydra.mail_participant, hydra.mail_known_id,
              hydra.mail_message, hydra.mail_raw
              RESTART IDENTITY",
];

/// A shop with one subscription, one row at least in each table, and no dispatcher that would change them.
fn parked<'a>(cluster: &'a testkit::Cluster, name: &str) -> Bench<'a> {
    let mut bench = shop(cluster);
    bench.subscribe(PATH, "ticket.created", &[]);
    wait_for_state(&mut bench.client, "running");
    bench.run("SELECT hydra.webhook_park()");
    bench.run(&format!("CREATE FUNCTION ours() RETURNS text LANGUAGE sql AS $$ SELECT '{name}' $$"));
    bench.run(ROWS);
    bench
}

/// The rows of all tables of the extension, and the state of its sequences.
fn content(bench: &mut Bench) -> BTreeMap<String, String> {
    const RELATIONS: &str = "SELECT relname::text, CASE relkind WHEN 'S' THEN 'last_value, is_called' ELSE '*' END
                             FROM pg_class WHERE relnamespace = 'hydra'::regnamespace AND relkind IN ('r', 'S')";
    let relations = bench.client.query(RELATIONS, &[]).expect("the catalog can be read");
    assert_eq!(relations.len(), 41 + 18, "41 tables and 18 sequences");
    relations
        .into_iter()
        .map(|row| {
            let (name, columns): (String, String) = (row.get(0), row.get(1));
            let rows = format!(
                "SELECT string_agg(t::text, ' ' ORDER BY t::text) FROM (SELECT {columns} FROM hydra.{name}) AS t"
            );
            let rows = bench.ask(&rows);
            (name, rows)
        })
        .collect()
}

fn nothing_arrives(copy_data: bool) {
    let (here, there) = (start(), start());
    let (mut publisher, mut subscriber) = (parked(&here, "publisher"), parked(&there, "subscriber"));
    let before = content(&mut subscriber);
    publish(&mut publisher, "ALL TABLES");
    follow(&mut subscriber, &publisher, &format!("copy_data = {copy_data}"));
    assert_eq!(content(&mut subscriber), before, "after the start");

    // New rows, with keys of the subscriber.
    publisher.run("DELETE FROM hydra.identity; DELETE FROM hydra.delivery_count; DELETE FROM hydra.attempt_count; DELETE FROM hydra.attempt");
    publisher.run("DELETE FROM hydra.removed_event_type; DELETE FROM hydra.delivery; DELETE FROM hydra.delivered; DELETE FROM hydra.event; DELETE FROM hydra.kept_event; DELETE FROM hydra.subscription_health; DELETE FROM hydra.former_subscription");
    publisher.run("DELETE FROM hydra.api_idempotency; DELETE FROM hydra.api_key; DELETE FROM hydra.api_resource; DELETE FROM hydra.tool; DELETE FROM hydra.login_link; DELETE FROM hydra.console_session; DELETE FROM hydra.gateway");
    publisher.run("DELETE FROM hydra.inbound_adapter; DELETE FROM hydra.inbound_event; DELETE FROM hydra.inbound_refused; DELETE FROM hydra.inbound_count");
    publisher.run("DELETE FROM hydra.flow; DELETE FROM hydra.flow_run; DELETE FROM hydra.flow_rehearsal");
    publisher.run("DELETE FROM hydra.mail_secret; DELETE FROM hydra.mail_channel; DELETE FROM hydra.mail_message; DELETE FROM hydra.mail_thread");
    publisher.run("SELECT hydra._announce_changes()");
    publisher.run(
        "INSERT INTO hydra.identity (system_identifier, database_oid, server_version) SELECT * FROM hydra._here()",
    );
    publisher.run(ROWS);
    publisher.subscribe("/another", "ticket.created", &[]);
    publisher.run("SELECT hydra.webhook_register_event_type('order.paid', 'An order was paid')");
    replicate_ticket(&mut publisher.client, &mut subscriber.client, "inserts");
    assert_eq!(content(&mut subscriber), before, "after inserts");
    for (number, change) in CHANGES.iter().enumerate() {
        publisher.run(change);
        replicate_ticket_quietly(&mut publisher, &mut subscriber, &number.to_string());
        assert_eq!(content(&mut subscriber), before, "after {change}");
    }

    // The subscriber sends what it emitted itself, to its own endpoint, and nothing else.
    subscriber.run("SELECT hydra.webhook_unpark()");
    subscriber.run("INSERT INTO ticket VALUES ('own')");
    subscriber.wait_for_empty_queue();
    let mut received = entity_ids(&subscriber.receiver.requests(PATH));
    received.sort();
    assert_eq!(received, ["own", "subscriber"]);
    assert_eq!(publisher.receiver.received(PATH), 0);
    assert_eq!(worker_status(&mut subscriber.client, "state"), "running");
    assert_no_error(&there);
}

/// As `replicate_ticket`, while the publisher has no event types.
fn replicate_ticket_quietly(publisher: &mut Bench, subscriber: &mut Bench, id: &str) {
    publisher.run("ALTER TABLE ticket DISABLE TRIGGER USER");
    replicate_ticket(&mut publisher.client, &mut subscriber.client, id);
}

#[test]
fn with_all_tables_published_nothing_of_the_extension_arrives_and_the_stream_goes_on() {
    nothing_arrives(false);
}

#[test]
fn with_all_tables_published_and_copied_nothing_of_the_extension_arrives_and_the_stream_goes_on() {
    nothing_arrives(true);
}

#[test]
fn with_all_tables_published_both_clusters_send_their_own_events_while_their_dispatchers_work() {
    let (here, there) = (start(), start());
    let (mut publisher, mut subscriber) = (shop(&here), shop(&there));
    for bench in [&mut publisher, &mut subscriber] {
        bench.subscribe(PATH, "ticket.created", &["log_successes => true"]);
        bench.subscribe("/down", "ticket.created", &["retry_schedule => '{0 s,1 h}'"]);
        bench.receiver.answer("/down", testkit::receiver::Answer::status(500));
    }
    publish(&mut publisher, "ALL TABLES");
    follow(&mut subscriber, &publisher, "copy_data = true");
    for round in 1..=5 {
        replicate_ticket(&mut publisher.client, &mut subscriber.client, &format!("publisher {round}"));
        subscriber.run(&format!("INSERT INTO ticket VALUES ('subscriber {round}')"));
    }
    for (bench, name) in [(&mut publisher, "publisher"), (&mut subscriber, "subscriber")] {
        let mut received = entity_ids(&bench.wait_for(PATH, 5));
        received.sort();
        assert_eq!(received, (1..=5).map(|round| format!("{name} {round}")).collect::<Vec<_>>());
        // Two attempts at each, and one success.
        bench.wait_for_count("webhook_history WHERE error IS NOT NULL", 10);
        bench.wait_for_count("webhook_history WHERE error IS NULL", 5);
        assert_eq!(bench.count("webhook_pending"), 5);
    }
    replicate_ticket(&mut publisher.client, &mut subscriber.client, "last");
    assert_no_error(&there);
}

#[test]
fn a_session_that_restores_rows_under_replica_is_not_taken_for_replication() {
    let cluster = start();
    let mut bench = shop(&cluster);
    let (id, _) = bench.subscribe(PATH, "ticket.created", &[]);
    let mut restoring = bench.session();
    run(&mut restoring, "SET session_replication_role = replica");
    run(&mut restoring, "CREATE TABLE saved AS TABLE hydra.subscription; DELETE FROM hydra.subscription");
    assert_eq!(bench.count("subscription"), 0);
    run(&mut restoring, "INSERT INTO hydra.subscription OVERRIDING SYSTEM VALUE TABLE saved");
    assert_eq!(ask::<i64>(&mut restoring, "SELECT id FROM hydra.subscription"), id);
    run(&mut restoring, "TRUNCATE hydra.attempt");
    bench.run("INSERT INTO ticket VALUES ('after the restore')");
    bench.wait_for(PATH, 1);
}

#[test]
fn every_table_of_the_extension_is_kept_from_replication() {
    let cluster = start();
    let mut bench = shop(&cluster);
    let unprotected: String = bench.ask(
        "SELECT coalesce(string_agg(c.relname, ', '), '') FROM pg_class AS c
         WHERE c.relnamespace = 'hydra'::regnamespace AND c.relkind = 'r'
           AND (SELECT count(*) FROM pg_trigger AS t WHERE t.tgrelid = c.oid AND t.tgenabled = 'R'
                AND t.tgname IN ('keep_to_its_cluster', 'before_truncate', 'after_truncate')) < 3",
    );
    assert_eq!(unprotected, "");
}
