-- Emitting, and the rows that it writes. Nothing is sent here.
\pset format unaligned
\set SHOW_CONTEXT never
\pset null '(null)'
SELECT setval('hydra.subscription_id_seq', 100) AS subscriptions_begin_after, setval('hydra.event_id_seq', 1) AS events_begin_at;
\c -
SELECT hydra.webhook_emit('ticket.created', '{"id": 1}') AS "nobody wants it";
SELECT id FROM hydra.webhook_create('https://example.com/', '{ticket.*}');
SELECT id FROM hydra.webhook_create('https://example.com/', '{ticket.created}', tenant_id => 'acme', filter => '$.priority == "high"');
SELECT hydra.webhook_emit('ticket.created', '{"id": 1, "tenant_id": "acme", "priority": "high"}') IS NOT NULL AS emitted;
SELECT hydra.webhook_emit('ticket.created', '{"id": "two", "tenant_id": 7}', 'acme') IS NOT NULL AS emitted;
SELECT hydra.webhook_emit('ticket.created', '[1, null, "\"quoted\" é"]') IS NOT NULL AS emitted;
SELECT hydra.webhook_emit('ticket.created', NULL) IS NOT NULL AS emitted;
SET hydra_webhooks.max_entity_size = '1kB';
SELECT hydra.webhook_emit('ticket.created', jsonb_build_object('id', 5, 'text', repeat('x', 2000))) IS NOT NULL AS emitted;
SET hydra_webhooks.on_entity_error = 'error';
SELECT hydra.webhook_emit('ticket.created', jsonb_build_object('id', 5, 'text', repeat('x', 2000))) IS NOT NULL AS emitted;
RESET hydra_webhooks.on_entity_error;
RESET hydra_webhooks.max_entity_size;
SELECT event_type, entity_type, entity_id, tenant_id, entity, entity_error, targets FROM hydra.event ORDER BY id;
SELECT hydra.webhook_emit(NULL, '{}');
SELECT hydra.webhook_emit('', '{}');
SELECT hydra.webhook_emit('ticket.crated', '{}');
SELECT hydra.webhook_emit('webhook.delivery_failed', '{}');
BEGIN READ ONLY;
SELECT hydra.webhook_emit('ticket.created', '{}');
ROLLBACK;
BEGIN;
SAVEPOINT before;
SELECT hydra.webhook_emit('ticket.created', '{"id": "undone"}') IS NOT NULL AS emitted;
ROLLBACK TO before;
COMMIT;
SELECT count(*) AS "undone events" FROM hydra.event WHERE entity_id = 'undone';
SELECT hydra.webhook_would_match(102, 'ticket.created', '{"priority": "high"}', 'acme'), hydra.webhook_would_match(102, 'ticket.created', '{}', 'acme'),
       hydra.webhook_would_match(102, 'ticket.created', '{"priority": "high"}'), hydra.webhook_would_match(101, 'part.created', '{}');
SELECT hydra.webhook_would_match(999, 'ticket.created', '{}');
SELECT hydra.webhook_verify('{}', 't=1,v1=00', 'whsec_x'), hydra.webhook_verify(NULL, '', '') AS "of null";
SELECT hydra.webhook_verify('{}', '', '', '-1 s');
-- triggers
CREATE TABLE ticket (id int PRIMARY KEY, status text, moment timestamptz);
SELECT hydra.webhook_watch('ticket', 'ticket.created', 'insert');
SELECT hydra.webhook_watch('ticket', 'ticket.resolved', 'update', condition => 'new.status = ''resolved''', columns => '{status}');
SELECT hydra.webhook_watch('ticket', 'ticket.assigned', 'update', level => 'statement', entity => 'to_jsonb(new.id)');
SELECT source, event, operation, level, condition, columns, entity, tenant, trigger_name, enabled, problem FROM hydra.webhook_watches ORDER BY trigger_name;
DELETE FROM hydra.event;
INSERT INTO ticket VALUES (1, 'open', NULL), (2, 'open', NULL);
UPDATE ticket SET status = 'resolved' WHERE id = 1;
SELECT event_type, entity_id, entity FROM hydra.event ORDER BY id;
SELECT hydra.webhook_watch('ticket', 'ticket.created', 'insert', condition => 'new.nothing');
SELECT hydra.webhook_watch('ticket', 'ticket.created', 'truncate');
SELECT hydra.webhook_watch('ticket', 'ticket.created', 'insert', entity => '1; DROP TABLE ticket');
SELECT hydra.webhook_watch('ticket', 'ticket.crated', 'insert');
SELECT hydra.webhook_unwatch('ticket', 'ticket.resolved');
SELECT hydra.webhook_unwatch('ticket', 'ticket.resolved');
CREATE TRIGGER wrong BEFORE INSERT ON ticket FOR EACH ROW EXECUTE FUNCTION hydra.webhook_emit_row('ticket.created');
INSERT INTO ticket VALUES (3);
DROP TABLE ticket;
DELETE FROM hydra.event;
DELETE FROM hydra.subscription;
