-- What each view shows for a queue and a history of known rows. Rolled back at the end.
\pset format unaligned
\set SHOW_CONTEXT never
\pset null '(null)'
SET TimeZone = 'UTC';
SELECT setval('hydra.subscription_id_seq', 500, false) AS next_id;
BEGIN;
UPDATE hydra.identity SET namespace = '6ba7b810-9dad-11d1-80b4-00c04fd430c8';
SELECT id FROM hydra.webhook_create('https://example.com/one', '{ticket.*}', name => 'one', headers => '{"X-Route": "eu", "Authorization": "Bearer t0ken"}');
SELECT id FROM hydra.webhook_create('https://example.com/two', '{ticket.created}', preset => 'standard', tenant_id => 'acme', rate_limit => 5);
UPDATE hydra.subscription SET status = 'disabled', disabled_reason = 'failures', status_since = '2026-03-01 12:00+00' WHERE id = 501;
INSERT INTO hydra.subscription_health VALUES (501, 12, '2026-03-01 11:00+00');
-- Two events, the second for both subscriptions and for one that was deleted.
INSERT INTO hydra.event (id, random, event_type, entity_type, entity_id, tenant_id, entity, emitted_at, targets) VALUES
    (1, -1, 'ticket.created', 'ticket', '7', NULL, '{"id": 7}', '2026-03-01 10:00+00', '{500}'),
    (2, -2, 'ticket.created', 'ticket', '8', 'acme', '{"id": 8}', '2026-03-01 10:01+00', '{500,501,999}');
INSERT INTO hydra.delivery (id, subscription_id, event_id, event_random, installation, event_type, entity_type, entity_id, tenant_id, emitted_at, preset, body, state, attempts, scheduled_at, due_at, claimed_by, failed_at)
VALUES ('00000000-0000-0000-0000-000000000001', 500, 3, -3, hydra._installation(), 'ticket.resolved', 'ticket', '9', NULL, '2026-03-01 09:00+00', 'hydra', '{"n":1}', 'pending', 1, '2026-03-01 09:00+00', '2026-03-01 09:30+00', NULL, NULL),
       ('00000000-0000-0000-0000-000000000002', 500, 4, -4, hydra._installation(), 'ticket.resolved', 'ticket', NULL, NULL, '2026-03-01 09:00+00', 'hydra', '{"n":2}', 'pending', 1, '2026-03-01 09:00+00', '2026-03-01 09:20+00', 7, NULL),
       ('00000000-0000-0000-0000-000000000003', 501, 5, -5, hydra._installation(), 'ticket.created', 'ticket', '10', 'acme', '2026-03-01 08:00+00', 'standard', '{"n":3}', 'failed', 2, '2026-03-01 08:00+00', NULL, NULL, '2026-03-01 08:10+00');
INSERT INTO hydra.attempt (delivery_id, event_uuid, subscription_id, event_id, event_type, entity_type, entity_id, tenant_id, emitted_at, attempt, status_code, error_class, error, response_excerpt, response_ms, attempted_at, next_attempt_at)
VALUES ('00000000-0000-0000-0000-000000000001', '00000000-0000-0000-0000-0000000000e3', 500, 3, 'ticket.resolved', 'ticket', '9', NULL, '2026-03-01 09:00+00', 1, NULL, 'timeout', 'no answer within 8 s', NULL, 8000, '2026-03-01 09:00+00', '2026-03-01 09:30+00'),
       ('00000000-0000-0000-0000-000000000003', '00000000-0000-0000-0000-0000000000e5', 501, 5, 'ticket.created', 'ticket', '10', 'acme', '2026-03-01 08:00+00', 1, 500, 'status', 'answered 500', 'oops', 12, '2026-03-01 08:00+00', '2026-03-01 08:10+00'),
       ('00000000-0000-0000-0000-000000000003', '00000000-0000-0000-0000-0000000000e5', 501, 5, 'ticket.created', 'ticket', '10', 'acme', '2026-03-01 08:00+00', 2, 503, 'status', 'answered 503', '', 7, '2026-03-01 08:10+00', NULL),
       ('00000000-0000-0000-0000-000000000004', '00000000-0000-0000-0000-0000000000e6', 999, 6, 'ticket.created', 'ticket', '11', NULL, '2026-03-01 06:59+00', 2, 200, NULL, NULL, 'ok', 3, '2026-03-01 07:00+00', NULL);
INSERT INTO hydra.former_subscription (id, name, url, deleted_at) VALUES (999, 'former', 'https://example.com/former', '2026-03-01 10:00+00');
INSERT INTO hydra.delivered (id, subscription_id, event_id, event_random, installation, event_type, entity_type, entity_id, operation, emitted_at, preset, body, attempts, status_code, response_excerpt, response_ms, delivered_at, kept_until)
VALUES ('00000000-0000-0000-0000-000000000005', 500, 7, -7, hydra._installation(), 'ticket.created', 'ticket', '12', 'insert', '2026-03-01 07:00+00', 'hydra', '{"n":5}', 1, 200, 'ok', 3, '2026-03-01 07:00+00', '2026-03-08 07:00+00');
-- A hundred responses: ninety within 1 ms, nine within 16 ms, one in the last bucket.
INSERT INTO hydra.delivery_count (subscription_id, hour, delivered, failed_attempts, failed, response_times)
SELECT 500, '2026-03-01 09:00+00', 98, 2, 1, array_agg(CASE n WHEN 9 THEN 90 WHEN 25 THEN 9 WHEN 73 THEN 1 ELSE 0 END ORDER BY n) FROM generate_series(1, 73) AS n;
INSERT INTO hydra.delivery_count (subscription_id, hour, response_times) VALUES (501, '2026-03-01 08:00+00', array_fill(0, ARRAY[73]));
INSERT INTO hydra.attempt_count (hour, subscription_id, event_type, tenant_id, status_code, error_class, others, attempts, failed, response_times) VALUES
    ('2026-03-01 08:00+00', 500, 'ticket.created', '', 200, '', false, 2, 0, '{NULL,2}'),
    ('2026-03-01 09:00+00', 500, 'ticket.created', 'acme', 200, '', false, 97, 0, '{NULL,NULL,90,NULL,7}'),
    ('2026-03-01 09:00+00', 500, 'ticket.resolved', 'acme', 503, '', false, 1, 1, '{NULL,NULL,NULL,NULL,1}'),
    ('2026-03-01 09:00+00', 500, 'ticket.resolved', '', 0, 'timeout', true, 1, 0, '{}'),
    ('2026-03-01 09:00+00', 502, '', '', 200, '', true, 1, 0, '{1}');
INSERT INTO hydra.former_subscription (id, name, url) VALUES (502, 'former', 'https://example.com/former');
INSERT INTO hydra.kept_event (id, event_type, source, entity_type, operation, part, sqlstate, reason, entity_id, entity, emitted_at)
VALUES (1, 'ticket.created', 'public.ticket', 'ticket', 'insert', 'tenant', '42703', 'column o.tenant does not exist', '9', '{"id": 9}', '2026-03-01 10:02+00');
\x on
SELECT id, name, url, status, disabled_reason, CASE WHEN status = 'disabled' THEN status_since END AS status_since, event_types, tenant_id, preset, signatures,
       ARRAY(SELECT unnest(header_names) ORDER BY 1) AS header_names, timeout, retry_schedule, filter, max_in_flight, rate_limit, disable_after, disable_after_time, stale_after,
       log_successes, keep_bodies, secret_prefix ~ '^whsec_.{6}$' AS secret_prefix, consecutive_failures, failing_since, delivered, pending, failed, last_error, last_error_at
FROM hydra.webhook_subscriptions WHERE id IN (500, 501) ORDER BY id;
SELECT * FROM hydra.webhook_failed WHERE subscription_id IN (500, 501);
SELECT * FROM hydra.webhook_kept;
SELECT * FROM hydra.webhook_delivered WHERE subscription_id IN (500, 501);
\x off
SELECT * FROM hydra.webhook_pending WHERE subscription_id IN (500, 501, 999) ORDER BY event_id, subscription_id;
SELECT * FROM hydra.webhook_history WHERE subscription_id IN (500, 501, 999) ORDER BY attempted_at;
SELECT subscription_id, CASE WHEN hour > '2026-03-02' THEN 'now' ELSE hour::text END AS hour, delivered, failed_attempts, failed, success_rate,
       p50_ms, p95_ms, p99_ms, depth, oldest_due
FROM hydra.webhook_stats WHERE subscription_id IN (500, 501) ORDER BY subscription_id, hour;
SELECT * FROM hydra.webhook_counts WHERE subscription_id IN (500, 502) ORDER BY subscription_id, hour, event, tenant_id, status_code;
SELECT * FROM hydra.webhook_stats_between('2026-03-01 08:00+00', '2026-03-01 10:00+00', '{subscription,tenant}');
SELECT * FROM hydra.webhook_stats_between('2026-03-01 08:00+00', '2026-03-01 10:00+00', '{day,status}', of_event => 'ticket.*');
SELECT * FROM hydra.webhook_stats_between('2026-03-01 08:00+00', '2026-03-01 10:00+00');
SELECT hydra.webhook_merge(histogram) AS sum, hydra.webhook_merge(histogram) FILTER (WHERE false) AS of_none
FROM (VALUES ('{1,NULL,2}'::bigint[]), ('{NULL,NULL,3,4,0}'), (NULL)) AS h (histogram);
SELECT hydra.webhook_percentile(array_fill(0, ARRAY[73]), 0.5) AS "of no answers", hydra.webhook_percentile(ARRAY[1] || array_fill(0, ARRAY[72]), 0.99) AS "of one";
SELECT state, pid IS NOT NULL AS has_process, in_flight, queued, dropped FROM hydra.webhook_worker_status;
-- A change of one setting leaves all others unchanged.
CREATE TEMPORARY TABLE before AS SELECT to_jsonb(s) AS row FROM hydra.subscription AS s WHERE s.id = 500;
CREATE FUNCTION pg_temp.changed_by(setting text) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    difference jsonb;
BEGIN
    EXECUTE format('SELECT hydra.webhook_update(500, %s)', setting);
    SELECT jsonb_object_agg(now.key, now.value) INTO difference
    FROM hydra.subscription AS s, jsonb_each(to_jsonb(s)) AS now, before
    WHERE s.id = 500 AND now.value IS DISTINCT FROM before.row -> now.key;
    UPDATE before SET row = (SELECT to_jsonb(s) FROM hydra.subscription AS s WHERE s.id = 500);
    RETURN difference;
END
$$;
SELECT setting, pg_temp.changed_by(setting)
FROM unnest(ARRAY['url => ''https://example.com/changed''', 'event_types => ''{part.*}''', 'name => ''changed''', 'tenant_id => ''changed''', 'preset => ''x_webhook''',
                  'signatures => ''{standard}''', 'headers => ''{"X-Changed": "1"}''', 'timeout => ''1 s''', 'retry_schedule => ''{1 s}''', 'filter => ''$.changed''',
                  'max_in_flight => 1', 'rate_limit => 1', 'disable_after => 1', 'disable_after_time => ''0''', 'log_successes => true', 'keep_bodies => ''7 days''', 'filter => ''$''', 'headers => ''{}''', 'name => NULL']) AS setting;
ROLLBACK;
