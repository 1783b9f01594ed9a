-- Inserts an inbound event, unless it was received before, and returns its number. If another transaction is about to
-- insert it, waits for its end.
INSERT INTO hydra.inbound_event AS e (adapter_id, external_id, external_type, event_type, entity_type, entity_id, tenant_id,
                                      payload, state, reason, attempts, hops, is_whole, emitted, finished_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8::text::json, CASE WHEN $9 IS NULL THEN 'done' ELSE 'unmatched' END, $9,
        CASE WHEN $4 IS NOT NULL THEN 1 ELSE 0 END, $10, $11, $4 IS NOT NULL, pg_catalog.clock_timestamp())
ON CONFLICT ON CONSTRAINT received_once DO NOTHING
RETURNING e.id AS inbound_event_id, e.received_at
