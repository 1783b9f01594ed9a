-- Records what became of an inbound event, and returns when it is due again.
UPDATE hydra.inbound_event AS e
SET state = $2,
    reason = $3,
    error = $4,
    sqlstate = $5,
    attempts = $6,
    due_at = CASE $7 WHEN 'now' THEN pg_catalog.clock_timestamp() WHEN 'later' THEN hydra._next_attempt($6) END,
    emitted = $8,
    event_type = $9,
    entity_type = $10,
    entity_id = $11,
    tenant_id = $12,
    finished_at = CASE WHEN $2 IN ('done', 'unmatched') THEN pg_catalog.clock_timestamp() END
WHERE e.id = $1
RETURNING e.due_at
