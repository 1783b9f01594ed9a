-- Creating and changing subscriptions, and all errors of these functions.
\pset format unaligned
\set SHOW_CONTEXT never
\pset null '(null)'
SELECT setval('hydra.subscription_id_seq', 1, false) AS next_id;
SELECT id, secret ~ '^whsec_[A-Za-z0-9+/]{43}=$' AS secret
FROM hydra.webhook_create('https://example.com/hydra', '{ticket.created,part.*}', name => 'first');
SELECT id FROM hydra.webhook_create(
    'https://example.com/x', '{*}', name => 'second', tenant_id => 'acme', preset => 'x_webhook', signatures => '{x_webhook,github}',
    headers => '{"X-Route": "eu"}', timeout => '3 s', retry_schedule => '{1 s,1 min}', filter => '$.priority > 3', max_in_flight => 2,
    rate_limit => 10, disable_after => 7, log_successes => true, disable_after_time => '2 h', keep_bodies => '7 days');
SELECT id FROM hydra.webhook_create('https://example.com/standard', '{webhook.*}', preset => 'standard');
SELECT id, name, url, status, disabled_reason, event_types, tenant_id, preset, signatures, header_names, timeout, retry_schedule,
       filter, max_in_flight, rate_limit, disable_after, disable_after_time, stale_after, log_successes, keep_bodies, length(secret_prefix) AS prefix,
       consecutive_failures, failing_since, delivered, pending, failed, last_error, last_error_at
FROM hydra.webhook_subscriptions ORDER BY id;
-- URLs
SELECT id FROM hydra.webhook_create(NULL, '{ticket.created}');
SELECT id FROM hydra.webhook_create('', '{ticket.created}');
SELECT id FROM hydra.webhook_create('ftp://example.com/', '{ticket.created}');
SELECT id FROM hydra.webhook_create('http://example.com/', '{ticket.created}');
SELECT id FROM hydra.webhook_create('https://127.0.0.1/', '{ticket.created}');
SELECT id FROM hydra.webhook_create('https://[::1]/', '{ticket.created}');
SELECT id FROM hydra.webhook_create('https://example.com:99999/', '{ticket.created}');
SELECT id FROM hydra.webhook_create('https://user:secret@example.com/', '{ticket.created}');
SELECT id FROM hydra.webhook_create('https://example.com/#there', '{ticket.created}');
SELECT id FROM hydra.webhook_create('https://exa mple.com/', '{ticket.created}');
-- event types
SELECT id FROM hydra.webhook_create('https://example.com/', NULL);
SELECT id FROM hydra.webhook_create('https://example.com/', '{}');
SELECT id FROM hydra.webhook_create('https://example.com/', '{NULL}');
SELECT id FROM hydra.webhook_create('https://example.com/', '{{ticket.created}}');
SELECT id FROM hydra.webhook_create('https://example.com/', '{ticket.crated}');
SELECT id FROM hydra.webhook_create('https://example.com/', '{tickets.*}');
SELECT id FROM hydra.webhook_create('https://example.com/', '{webhook.other}');
-- everything else
SELECT id FROM hydra.webhook_create('https://example.com/', '{ticket.created}', name => '');
SELECT id FROM hydra.webhook_create('https://example.com/', '{ticket.created}', preset => 'other');
SELECT id FROM hydra.webhook_create('https://example.com/', '{ticket.created}', signatures => '{}');
SELECT id FROM hydra.webhook_create('https://example.com/', '{ticket.created}', signatures => '{hydra,md5}');
SELECT id FROM hydra.webhook_create('https://example.com/', '{ticket.created}', signatures => '{hydra,hydra}');
SELECT id FROM hydra.webhook_create('https://example.com/', '{ticket.created}', headers => '[]');
SELECT id FROM hydra.webhook_create('https://example.com/', '{ticket.created}', headers => '{"Host": "example.org"}');
SELECT id FROM hydra.webhook_create('https://example.com/', '{ticket.created}', headers => '{"X-A": "a\r\nX-B: b"}');
SELECT id FROM hydra.webhook_create('https://example.com/', '{ticket.created}', headers => '{"X A": "a"}');
SELECT id FROM hydra.webhook_create('https://example.com/', '{ticket.created}', timeout => '1 ms');
SELECT id FROM hydra.webhook_create('https://example.com/', '{ticket.created}', timeout => '2 min');
SELECT id FROM hydra.webhook_create('https://example.com/', '{ticket.created}', retry_schedule => '{-1 s}');
SELECT id FROM hydra.webhook_create('https://example.com/', '{ticket.created}', retry_schedule => '{8 days}');
SELECT id FROM hydra.webhook_create('https://example.com/', '{ticket.created}', retry_schedule => '{NULL}');
SELECT id FROM hydra.webhook_create('https://example.com/', '{ticket.created}', filter => '$.a == $b');
SELECT id FROM hydra.webhook_create('https://example.com/', '{ticket.created}', max_in_flight => 0);
SELECT id FROM hydra.webhook_create('https://example.com/', '{ticket.created}', rate_limit => 0);
SELECT id FROM hydra.webhook_create('https://example.com/', '{ticket.created}', disable_after => 0);
SELECT id FROM hydra.webhook_create('https://example.com/', '{ticket.created}', disable_after_time => '31 days');
SELECT id FROM hydra.webhook_create('https://example.com/', '{ticket.created}', keep_bodies => '13 mons');
-- changes
SELECT hydra.webhook_update(1, name => 'renamed', preset => 'standard', headers => '{"X-A": "a"}', filter => '$.a');
SELECT hydra.webhook_update(1);
SELECT name, url, event_types, preset, signatures, header_names, filter, timeout FROM hydra.webhook_subscriptions WHERE id = 1;
SELECT hydra.webhook_update(1, headers => '{}', filter => '$', preset => 'hydra');
SELECT name, preset, signatures, header_names, filter FROM hydra.webhook_subscriptions WHERE id = 1;
SELECT hydra.webhook_update(1, url => 'https://10.0.0.1/');
SELECT hydra.webhook_update(NULL, name => 'x');
SELECT hydra.webhook_update(99, name => 'x');
SELECT hydra.webhook_pause(1);
SELECT hydra.webhook_pause(1);
SELECT status FROM hydra.webhook_subscriptions WHERE id = 1;
SELECT hydra.webhook_resume(1);
SELECT status FROM hydra.webhook_subscriptions WHERE id = 1;
SELECT hydra.webhook_pause(99);
SELECT hydra.webhook_resume(NULL);
SELECT hydra.webhook_rotate_secret(1) ~ '^whsec_' AS rotated;
SELECT hydra.webhook_rotate_secret(1, '1 hour') ~ '^whsec_' AS rotated;
SELECT hydra.webhook_rotate_secret(1, '-1 hour');
SELECT hydra.webhook_rotate_secret(1, NULL);
SELECT hydra.webhook_rotate_secret(2, '1 hour');
SELECT hydra.webhook_rotate_secret(99);
SELECT hydra.webhook_send_test(1);
SELECT hydra.webhook_delete(3);
SELECT hydra.webhook_delete(3);
SELECT hydra.webhook_retry('00000000-0000-0000-0000-000000000000');
SELECT hydra.webhook_retry(NULL);
SELECT hydra.webhook_retry(state => 'sent');
SELECT hydra.webhook_cancel(state => 'delivered');
SELECT hydra.webhook_cancel('00000000-0000-0000-0000-000000000000');
SELECT hydra.webhook_cancel(event => 'ticket.creatd');
SELECT hydra.webhook_retry(event => 'tickets.*');
SELECT hydra.webhook_replay(1, '-infinity', 'infinity');
SELECT hydra.webhook_replay(1, '2026-01-01', NULL);
SELECT hydra.webhook_replay(99, '-infinity', 'infinity');
SELECT hydra.webhook_register_event_type('order.paid', 'An order was paid', id_key => 'number');
SELECT * FROM hydra.webhook_event_types WHERE origin = 'application';
SELECT hydra.webhook_register_event_type(NULL);
SELECT hydra.webhook_register_event_type('Order');
SELECT hydra.webhook_register_event_type('order.paid', entity_type => '');
SELECT hydra.webhook_register_event_type('webhook.mine');
SELECT hydra.webhook_adopt();
SELECT hydra.webhook_adopt(NULL);
DELETE FROM hydra.subscription;
DELETE FROM hydra.event_type WHERE origin = 'application';
