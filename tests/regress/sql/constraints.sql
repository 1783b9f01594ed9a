-- Tables reject impossible rows: each row here has one error.
\pset format unaligned
\set SHOW_CONTEXT never
CREATE FUNCTION pg_temp.refused(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    by_constraint text;
BEGIN
    EXECUTE statement;
    RETURN 'ACCEPTED';
EXCEPTION WHEN integrity_constraint_violation THEN
    GET STACKED DIAGNOSTICS by_constraint = CONSTRAINT_NAME;
    RETURN coalesce(nullif(by_constraint, ''), SQLSTATE);
END
$$;
SELECT wrong, pg_temp.refused(format('INSERT INTO hydra.subscription (url, event_types) VALUES (''https://e.com/'', ''{a.b}'');
                                      UPDATE hydra.subscription SET %s', wrong)) AS refused_by
FROM unnest(ARRAY['url = ''ftp://e.com''', 'url = NULL', 'name = ''''', 'tenant_id = ''''', 'event_types = ''{}''', 'event_types = ''{NULL}''',
                  'preset = ''other''', 'signatures = ''{}''', 'signatures = ''{md5}''', 'headers = ''[]''', 'timeout = ''1 h''', 'timeout = ''12 mons -360 days 1 s''',
                  'retry_schedule = ''{8 days}''', 'retry_schedule = ''{12 mons -354 days}''', 'retry_schedule = ''{NULL}''', 'max_in_flight = 0', 'rate_limit = 0',
                  'disable_after = 0', 'disable_after_time = ''-1 s''', 'keep_bodies = ''0 s''', 'keep_bodies = ''13 mons''', 'status = ''gone''', 'status = ''disabled''', 'disabled_reason = ''gone''',
                  'name = repeat(''x'', 201)', 'tenant_id = repeat(''x'', 1025)', 'url = ''https://'' || repeat(''x'', 2048)',
                  'event_types = array_fill(''a.b''::text, ARRAY[10001])', 'event_types = ARRAY[repeat(''x'', 262145)]',
                  'signatures = array_fill(''hydra''::text, ARRAY[5])', 'headers = jsonb_build_object(''X-A'', repeat(''x'', 100000))',
                  'filter = (''$ == "'' || repeat(''x'', 8192) || ''"'')::jsonpath']) AS wrong;
SELECT wrong, pg_temp.refused(format('UPDATE hydra.preset SET %s', wrong)) AS refused_by
FROM unnest(ARRAY['timeout = ''12 mons -360 days 1 s''', 'retry_schedule = ''{12 mons -354 days}''', 'retry_schedule = ''{-1 mon 29 days}''',
                  'disable_after = 0', 'stale_after = ''-1 mon 29 days''', 'stale_after = ''12 mons -366 days''']) AS wrong;
SELECT wrong, pg_temp.refused(format('INSERT INTO hydra.delivery (id, subscription_id, event_id, event_random, installation, event_type, entity_type, emitted_at, preset, body, state, due_at)
                                      VALUES (gen_random_uuid(), 1, 1, 1, gen_random_uuid(), ''a.b'', ''a'', now(), ''hydra'', ''{}'', ''pending'', now());
                                      UPDATE hydra.delivery SET %s', wrong)) AS refused_by
FROM unnest(ARRAY['state = ''done''', 'due_at = NULL', 'failed_at = now()', 'state = ''failed''', 'attempts = -1', 'earlier_attempts = 1',
                  'preset = ''other''', 'operation = ''truncate''', 'hops = -1', 'state = ''failed'', due_at = NULL, failed_at = now(), claimed_by = 1']) AS wrong;
SELECT wrong, pg_temp.refused(format('INSERT INTO hydra.attempt (delivery_id, event_uuid, subscription_id, event_id, event_type, entity_type, emitted_at, attempt, status_code, attempted_at)
                                      VALUES (gen_random_uuid(), gen_random_uuid(), 1, 1, ''a.b'', ''a'', now(), 1, 200, now());
                                      UPDATE hydra.attempt SET %s', wrong)) AS refused_by
FROM unnest(ARRAY['attempt = 0', 'status_code = 99', 'status_code = 500', 'error = ''x''', 'error_class = ''status''',
                  'status_code = NULL, error_class = ''other'', error = ''x''', 'response_excerpt = repeat(''x'', 1025)',
                  'response_ms = -1', 'next_attempt_at = now()']) AS wrong;
SELECT wrong, pg_temp.refused(format('INSERT INTO hydra.delivered (id, subscription_id, event_id, event_random, installation, event_type, entity_type, emitted_at, preset, body, attempts, status_code, response_excerpt, response_ms, delivered_at, kept_until)
                                      VALUES (gen_random_uuid(), 1, 1, 1, gen_random_uuid(), ''a.b'', ''a'', now(), ''hydra'', ''{}'', 1, 200, '''', 1, now(), now() + interval ''1 h'');
                                      UPDATE hydra.delivered SET %s', wrong)) AS refused_by
FROM unnest(ARRAY['attempts = 0', 'status_code = 199', 'status_code = 300', 'response_excerpt = repeat(''x'', 1025)', 'response_ms = -1',
                  'kept_until = delivered_at', 'preset = ''other''', 'operation = ''truncate''', 'hops = -1', 'body = NULL']) AS wrong;
SELECT wrong, pg_temp.refused(format('INSERT INTO hydra.attempt_count (hour, subscription_id, event_type, tenant_id, status_code, error_class)
                                      VALUES (''2026-03-01 08:00+00'', 1, ''a.b'', ''x'', 200, '''');
                                      UPDATE hydra.attempt_count SET %s', wrong)) AS refused_by
FROM unnest(ARRAY['hour = ''2026-03-01 08:30+00''', 'status_code = 99', 'status_code = 0', 'error_class = ''timeout''', 'error_class = ''status''',
                  'others = true', 'event_type = ''''', 'attempts = -1', 'response_times = array_fill(0, ARRAY[74])']) AS wrong;
SELECT wrong, pg_temp.refused(format('INSERT INTO hydra.event_type (name, description, entity_type, origin) VALUES %s', wrong)) AS refused_by
FROM unnest(ARRAY['(''Ticket'', '''', ''t'', ''application'')', '(''a.b'', '''', '''', ''application'')', '(''a.b'', '''', ''a'', ''mine'')',
                  '(''webhook.mine'', '''', ''a'', ''application'')', '(''a.b'', '''', ''a'', ''extension'')',
                  '(''a.'' || repeat(''b'', 99), '''', ''a'', ''application'')', '(''a.b'', repeat(''x'', 1001), ''a'', ''application'')',
                  '(''a.b'', '''', repeat(''x'', 201), ''application'')']) AS wrong;
SELECT wrong, pg_temp.refused(format('UPDATE hydra.event_type SET %s WHERE name = ''ticket.created''', wrong)) AS refused_by
FROM unnest(ARRAY['id_key = ''''', 'id_key = repeat(''x'', 201)']) AS wrong;
SELECT wrong, pg_temp.refused(format('INSERT INTO hydra.event (event_type, entity_type, entity, entity_error, targets) VALUES %s', wrong)) AS refused_by
FROM unnest(ARRAY['(''a.b'', ''a'', ''{}'', NULL, ''{}'')', '(''a.b'', ''a'', NULL, NULL, ''{1}'')', '(''a.b'', ''a'', ''{}'', ''x'', ''{1}'')']) AS wrong;
SELECT wrong, pg_temp.refused(format('INSERT INTO hydra.event (event_type, entity_type, entity, targets, hops, operation) VALUES (''a.b'', ''a'', ''{}'', ''{1}'', %s)', wrong)) AS refused_by
FROM unnest(ARRAY['-1, NULL', '0, ''truncate''', '1, ''insert''']) AS wrong;
SELECT wrong, pg_temp.refused(format('INSERT INTO hydra.kept_event (event_type, source, entity_type, operation, part, sqlstate, reason, entity) VALUES (''a.b'', ''t'', ''a'', ''update'', ''condition'', ''42703'', ''x'', ''{}'');
                                      UPDATE hydra.kept_event SET %s', wrong)) AS refused_by
FROM unnest(ARRAY['operation = ''truncate''', 'part = ''entity''', 'sqlstate = ''x''', 'reason = NULL', 'entity = NULL', 'entity_error = ''x''', 'part = ''tenant'', tenant_id = ''t''']) AS wrong;
