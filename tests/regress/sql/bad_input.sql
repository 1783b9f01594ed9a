-- Every function with nulls, empty strings, unknown ids, JSON of the wrong shape, and values that are far too large.
-- Each call fails with a specific error, or does what is documented; none ends the session.
\pset format unaligned
\set SHOW_CONTEXT never
\pset null '(null)'
CREATE FUNCTION pg_temp.outcome(call text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    value text;
    message text; detail text; hint text;
BEGIN
    EXECUTE 'SELECT ' || call INTO value;
    RETURN 'returns ' || coalesce(value, 'null');
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
    RETURN format('%s %s%s%s', SQLSTATE, left(message, 150), CASE WHEN detail = '' THEN ', without detail' END,
                  CASE WHEN hint = '' THEN ', without hint' END);
END
$$;
CREATE TABLE thing (id int, tenant_id text, more jsonb);
SELECT setval('hydra.subscription_id_seq', 1, false) AS next_id;
SELECT id FROM hydra.webhook_create('https://example.com/', '{ticket.created}');
SELECT setval('hydra.inbound_adapter_id_seq', 1, false) AS next_id;
SELECT id FROM hydra.inbound_create('x', '"ticket.created"');

-- nulls
SELECT call, pg_temp.outcome(call) FROM unnest(ARRAY[
    'hydra.webhook_emit(NULL, NULL, NULL)', 'hydra.webhook_emit(''ticket.created'', NULL, NULL) IS NOT NULL',
    'hydra.webhook_watch(NULL, NULL, NULL)', 'hydra.webhook_watch(''thing'', NULL, ''insert'')', 'hydra.webhook_watch(''thing'', ''ticket.created'', NULL)',
    'hydra.webhook_watch(''thing'', ''ticket.created'', ''insert'', columns => ''{NULL}'')',
    'hydra.webhook_watch(''thing'', ''ticket.created'', ''insert'', level => NULL)',
    'hydra.webhook_unwatch(NULL, NULL)', 'hydra.webhook_unwatch(''thing'', NULL)',
    'hydra.webhook_register_event_type(NULL, NULL, NULL, NULL)', 'hydra.webhook_unregister_event_type(NULL)',
    'hydra.webhook_unregister_catalogue(NULL)', 'hydra.webhook_watch_definition(NULL, NULL)', 'hydra.webhook_create(NULL, NULL)',
    'hydra.webhook_create(''https://example.com/'', ''{ticket.created}'', headers => ''null'')',
    'hydra.webhook_update(NULL)', 'hydra.webhook_delete(NULL)', 'hydra.webhook_pause(NULL)', 'hydra.webhook_resume(NULL)',
    'hydra.webhook_rotate_secret(NULL)', 'hydra.webhook_rotate_secret(1, NULL)', 'hydra.webhook_end_overlap(NULL)', 'hydra.webhook_send_test(NULL)',
    'hydra.webhook_send_kept(NULL)', 'hydra.webhook_drop_kept(NULL)', 'hydra.webhook_retry(NULL)', 'hydra.webhook_cancel(NULL)', 'hydra.webhook_replay(NULL, NULL, NULL)', 'hydra.webhook_replay(1, NULL, NULL)',
    'hydra.webhook_would_match(NULL, NULL, NULL, NULL)', 'hydra.webhook_would_match(1, NULL, ''{}'')', 'hydra.webhook_would_match(1, ''ticket.created'', NULL)',
    'hydra.webhook_verify(NULL, NULL, NULL, NULL)', 'hydra.webhook_verify(''{}'', ''t=1,v1=00'', ''whsec_x'', NULL)', 'hydra.webhook_adopt(NULL)', 'hydra.webhook_adopt(NULL, NULL)',
    'hydra.api_key_create(NULL, NULL)', 'hydra.api_key_revoke(NULL)', 'hydra.api_key_rotate(NULL)', 'hydra.api_key_rotate(1, NULL)', 'hydra.approve(NULL)', 'hydra.refuse(NULL)',
    'hydra.inbound_create(NULL, NULL)', 'hydra.inbound_create(''x'', NULL)', 'hydra.inbound_create(NULL, ''"ticket.created"'')',
    'hydra.inbound_create(''x'', ''"ticket.created"'', ''github'')', 'hydra.inbound_update(NULL)', 'hydra.inbound_update(1)', 'hydra.inbound_pause(NULL)',
    'hydra.inbound_resume(NULL)', 'hydra.inbound_delete(NULL)', 'hydra.inbound_rotate_url(NULL)', 'length(hydra.inbound_rotate_url(1, NULL)) > 10', 'hydra.inbound_rotate_secret(NULL, NULL)',
    'hydra.inbound_rotate_secret(1, NULL)', 'hydra.inbound_try(NULL)', 'hydra.inbound_replay(NULL)', 'hydra.inbound_replay(1, NULL, NULL)',
    'hydra.mail_channel_create(NULL, NULL)', 'hydra.mail_channel_update(NULL)', 'hydra.mail_channel_pause(NULL)', 'hydra.mail_channel_resume(NULL)',
    'hydra.mail_channel_delete(NULL)', 'hydra.mail_tag(NULL, NULL)', 'hydra.mail_reply_address(NULL, NULL, NULL)', 'hydra.mail_sent(NULL, NULL, NULL, NULL)',
    'hydra.mail_raw(NULL) IS NULL', 'hydra.mail_attachment(NULL, NULL) IS NULL',
    'hydra.console_link(NULL)', 'hydra.rehearse(NULL)', 'hydra.rehearse(NULL, NULL)', 'hydra._set_gateway_verifier(NULL)'
]) AS call;

-- empty strings and arrays
SELECT call, pg_temp.outcome(call) FROM unnest(ARRAY[
    'hydra.webhook_emit('''', ''{}'')', 'hydra.webhook_emit(''ticket.created'', '''')', 'hydra.webhook_emit(''ticket.created'', ''{}'', '''') IS NOT NULL',
    'hydra.webhook_watch('''', ''ticket.created'', ''insert'')', 'hydra.webhook_watch(''thing'', '''', ''insert'')', 'hydra.webhook_watch(''thing'', ''ticket.created'', '''')',
    'hydra.webhook_watch(''thing'', ''ticket.created'', ''insert'', condition => '''')', 'hydra.webhook_watch(''thing'', ''ticket.created'', ''insert'', entity => '''')',
    'hydra.webhook_watch(''thing'', ''ticket.created'', ''insert'', tenant => '' '')', 'hydra.webhook_watch(''thing'', ''ticket.created'', ''update'', columns => ''{}'')',
    'hydra.webhook_watch(''thing'', ''ticket.created'', ''insert'', level => '''')', 'hydra.webhook_unwatch(''thing'', '''')',
    'hydra.webhook_unregister_event_type('''')', 'hydra.webhook_unregister_catalogue('''')', 'hydra.webhook_watch_definition(''thing'', '''')',
    'hydra.webhook_create(''https://example.com/'', ''{ticket.created}'', if_not_exists => true)',
    'hydra.webhook_register_event_type('''', '''', '''', '''')', 'hydra.webhook_register_event_type(''a.b'', '''')',
    'hydra.webhook_register_event_type(''a.b'', ''x'', '''')', 'hydra.webhook_register_event_type(''a.b'', ''x'', ''a'', '''')',
    'hydra.webhook_create('''', ''{}'')', 'hydra.webhook_create(''https://example.com/'', ''{""}'')', 'hydra.webhook_create(''https://example.com/'', ''{ticket.created}'', preset => '''')',
    'hydra.webhook_create(''https://example.com/'', ''{ticket.created}'', name => '''')',
    'hydra.webhook_create(''https://example.com/'', ''{ticket.created}'', tenant_id => '''')',
    'hydra.webhook_create(''https://example.com/'', ''{ticket.created}'', signatures => ''{""}'')',
    'hydra.webhook_create(''https://example.com/'', ''{ticket.created}'', filter => '''')',
    'hydra.webhook_create(''https://example.com/'', ''{ticket.created}'', headers => ''{"": "x"}'')',
    'hydra.webhook_update(1, url => '''')', 'hydra.webhook_update(1, event_types => ''{}'')', 'hydra.webhook_update(1, name => '''')',
    'hydra.webhook_update(1, tenant_id => '''')', 'hydra.webhook_update(1, preset => '''')',
    'hydra.webhook_would_match(1, '''', ''{}'')', 'hydra.webhook_verify('''', '''', '''')',
    'hydra.api_key_create('''', ''{}'')', 'hydra.api_key_create(''x'', ''{""}'')', 'hydra.api_key_create(''x'', ''{mcp}'', tenant_id => '''')',
    'hydra.api_key_create(''x'', ''{mcp}'', role => '''')', 'hydra.console_link('''')', 'hydra.console_link(''hydra_admin'', '''')',
    'hydra.inbound_create('''', ''"ticket.created"'')', 'hydra.inbound_create(''x'', ''""'')', 'hydra.inbound_create(''x'', ''{}'')',
    'hydra.inbound_create(''x'', ''{"": "ticket.created"}'')', 'hydra.inbound_create(''x'', ''"ticket.created"'', '''')',
    'hydra.inbound_create(''x'', ''"ticket.created"'', ''github'', '''')', 'hydra.inbound_create(''x'', ''"ticket.created"'', tenant_id => '''')',
    'hydra.inbound_update(1, name => '''')', 'hydra.inbound_update(1, provider => '''')', 'hydra.inbound_update(1, tenant_id => '''')',
    'hydra.inbound_update(1, each => '''', id_path => '''', type_path => '''')', 'hydra.inbound_rotate_secret(1, '''')',
    'hydra.mail_channel_create('''', '''')', 'hydra.mail_channel_create(''a@b.c'', '''')', 'hydra.mail_tag('''', '''')', 'hydra.mail_tag(''ticket'', ''1'', '''')',
    'hydra.mail_reply_address('''', ''ticket'', ''1'')', 'hydra.mail_sent('''', ''ticket'', ''1'', ''{}'')', 'hydra.mail_sent(''<1@b>'', ''ticket'', ''1'', ''{""}'')',
    'hydra.rehearse('''')', 'hydra._set_gateway_verifier('''')'
]) AS call;

-- unknown ids
SELECT call, pg_temp.outcome(call)
FROM unnest(ARRAY['0', '-1', '999', '9223372036854775807']) AS id,
     unnest(ARRAY['hydra.webhook_update(%s, name => ''x'')', 'hydra.webhook_delete(%s)', 'hydra.webhook_pause(%s)', 'hydra.webhook_resume(%s)',
                  'hydra.webhook_rotate_secret(%s)', 'hydra.webhook_end_overlap(%s)', 'hydra.webhook_replay(%s, ''-infinity'', ''infinity'')',
                  'hydra.inbound_update(%s, name => ''x'')', 'hydra.inbound_pause(%s)', 'hydra.inbound_resume(%s)', 'hydra.inbound_delete(%s)',
                  'hydra.inbound_rotate_url(%s)', 'hydra.inbound_rotate_secret(%s, ''x'')', 'hydra.inbound_try(%s)', 'hydra.inbound_replay(%s)',
                  'hydra.webhook_would_match(%s, ''ticket.created'', ''{}'')']) AS form, format(form, id) AS call;
SELECT call, pg_temp.outcome(call) FROM unnest(ARRAY[
    'hydra.webhook_send_kept(999)', 'hydra.webhook_drop_kept(-1)', 'hydra.webhook_retry(''ffffffff-ffff-ffff-ffff-ffffffffffff'')', 'hydra.webhook_cancel(''ffffffff-ffff-ffff-ffff-ffffffffffff'')',
    'hydra.webhook_unwatch(''thing'', ''ticket.created'')', 'hydra.webhook_unwatch(''thing'', ''never.heard_of'')',
    'hydra.webhook_watch(''nothing'', ''ticket.created'', ''insert'')', 'hydra.webhook_watch(''pg_class'', ''ticket.created'', ''insert'')',
    'hydra.webhook_watch(''hydra.webhook_failed'', ''ticket.created'', ''insert'')',
    'hydra.webhook_watch(''thing'', ''ticket.created'', ''update'', columns => ''{nothing}'')']) AS call;

-- JSON of every shape as an entity: no call fails
SELECT entity, hydra.webhook_emit('ticket.created', entity) IS NOT NULL AS emitted
FROM unnest(ARRAY['null', 'true', '1e40', '-0', '"text"', '""', '[]', '[[[]]]', '{}', '{"id": null}', '{"id": {}}', '{"id": []}', '{"id": true}',
                  '{"id": 1.50}', '{"id": ""}', '{"tenant_id": {}}', '{"tenant_id": 7}', '{"tenant_id": ""}', '{"ID": 1}', '{"": 1}',
                  '{"id": "\u00e9 \"\\ \ud83d\ude00"}']::jsonb[]) AS entity;
SELECT entity, entity_id, tenant_id, entity_error FROM hydra.event WHERE emitted_at > now() - interval '1 h' ORDER BY id;
-- JSON of the wrong shape as headers
SELECT headers, pg_temp.outcome(format('hydra.webhook_update(1, headers => %L)', headers))
FROM unnest(ARRAY['null', 'true', '1', '"text"', '[]', '[{}]', '{"X-A": null}', '{"X-A": 1}', '{"X-A": ["a"]}', '{"X-A": {}}', '{"X-A": "\u0007"}',
                  '{"X-A": "\u00e9"}', '{"X\u00e9": "a"}', '{"X-A": "a", "x-a": "b"}', '{"X-Hydra-Event": "mine"}', '{"webhook-id": "mine"}',
                  '{"Content-Length": "0"}', '{"Connection": "close"}', '{"Transfer-Encoding": "chunked"}']) AS headers;
-- the wrong settings of an inbound adapter
SELECT call, pg_temp.outcome(format('hydra.inbound_update(1, %s)', call)) FROM unnest(ARRAY[
    'mapping => ''1''', 'mapping => ''[]''', 'mapping => ''null''', 'mapping => ''{"a": 1}''', 'mapping => ''{"a": 1e400}''', 'mapping => ''"never.heard_of"''', 'mapping => ''"webhook.test"''',
    'mapping => ''{"*": {"event": "ticket.created", "entity": "$.a =="}}''', 'mapping => ''{"*": {"event": "ticket.created", "entity": "$x"}}''',
    'mapping => ''{"*": {"event": "ticket.created", "other": "$"}}''', 'mapping => ''{"*": {"entity": "$"}}''', 'mapping => ''{"a*": "ticket.created"}''',
    'scheme => ''1''', 'scheme => ''{"nothing": 1}''', 'scheme => ''{"budget_ms": 1e400}''', 'provider => ''nobody''', 'provider => ''stripe''',
    'each => ''$.a ==''', 'each => ''$x[*]''', 'id_path => ''a b''', 'type_path => ''$."''',
    'response => ''1''', 'response => ''{"status": 500}''', 'response => ''{"status": "200"}''', 'response => ''{"body": 1}''', 'response => ''{"content_type": "a\r\nb"}''', 'response => ''{"other": 1}''',
    'budget => ''1 min''', 'budget => ''-1 s''', 'budget => ''1 ms''', 'requests_per_second => -1', 'requests_per_second => 10001',
    'name => repeat(''x'', 201)', 'tenant_id => repeat(''x'', 1025)']) AS call;
SELECT call, pg_temp.outcome(call) FROM unnest(ARRAY[
    'hydra.inbound_rotate_url(1, ''-1 s'')', 'hydra.inbound_rotate_url(1, ''31 days'')', 'hydra.inbound_rotate_secret(1, ''x'', ''31 days'')',
    'hydra.inbound_replay(1, now(), now())', 'hydra.inbound_try(1, ''1'')', 'hydra.inbound_try(1, refused_id => 1)', 'hydra.inbound_try(1, scheme => ''{"nothing": 1}'')',
    'hydra.inbound_create(''x'', ''"ticket.created"'', secret => ''a secret'', scheme => ''{"signature": {"header": "x", "signs": "{body}", "algorithm": "hmac-sha256", "encoding": "hex", "key": "hex"}}'')']) AS call;
-- text that is not JSON, a path, an interval or an array: errors of Postgres itself
SELECT call, pg_temp.outcome(call) FROM unnest(ARRAY[
    'hydra.webhook_emit(''ticket.created'', ''{'')', 'hydra.webhook_emit(''ticket.created'', ''{"a": "\u0000"}'')',
    'hydra.webhook_create(''https://example.com/'', ''ticket.created'')', 'hydra.webhook_update(1, filter => ''$.a =='')',
    'hydra.webhook_update(1, timeout => ''soon'')', 'hydra.webhook_update(1, retry_schedule => ''{later}'')',
    'hydra.webhook_update(1, max_in_flight => 3000000000)']) AS call;

-- values that are far too large
SELECT length(pg_temp.outcome(format('hydra.webhook_register_event_type(%L)', 'a.' || repeat('b', 10000)))) < 300 AS "long names are refused in few words";
SELECT pg_temp.outcome(format('hydra.webhook_create(%L, ''{ticket.created}'')', 'https://example.com/' || repeat('x', 100000)));
SELECT pg_temp.outcome(format('hydra.webhook_update(1, name => %L)', repeat('x', 100000)));
SELECT length(pg_temp.outcome(format('hydra.webhook_unregister_event_type(%L)', 'a.' || repeat('b', 10000)))) < 300 AS "long names are refused in few words";
SELECT pg_temp.outcome(format('hydra.webhook_update(1, headers => %L)', (SELECT jsonb_object_agg('X-' || n, 'v') FROM generate_series(1, 10000) AS n)));
SELECT pg_temp.outcome(format('hydra.webhook_update(1, headers => %L)', jsonb_build_object('X-A', repeat('x', 100000))));
SELECT pg_temp.outcome('hydra.webhook_update(1, retry_schedule => array_fill(interval ''1 s'', ARRAY[10000]))');
SELECT pg_temp.outcome('hydra.webhook_update(1, event_types => (SELECT array_agg(''group.type_'' || n) FROM generate_series(1, 10000) AS n))');
SELECT count(hydra.webhook_register_event_type('group.type_' || n, 'one of many')) AS registered FROM generate_series(1, 10000) AS n;
SELECT pg_temp.outcome('hydra.webhook_update(1, event_types => (SELECT array_agg(''group.type_'' || n) FROM generate_series(1, 10000) AS n))');
SELECT hydra.webhook_emit('group.type_1', '{}') IS NOT NULL AS first, hydra.webhook_emit('group.type_10000', '{}') IS NOT NULL AS last,
       hydra.webhook_emit('ticket.created', '{}') IS NOT NULL AS other;
SELECT pg_temp.outcome('hydra.webhook_update(1, event_types => ''{group.*}'')'), hydra.webhook_emit('group.type_9999', '{}') IS NOT NULL AS by_star;
DROP TABLE thing;
DELETE FROM hydra.event;
DELETE FROM hydra.subscription;
DELETE FROM hydra.inbound_adapter;
DELETE FROM hydra.event_type WHERE origin = 'application';
