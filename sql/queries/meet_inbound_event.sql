-- Counts that an inbound event came again, and returns what is known of it. Its row is locked until the end of the
-- transaction.
UPDATE hydra.inbound_event AS e
SET duplicates = e.duplicates + 1
WHERE e.adapter_id = $1 AND e.external_id = $2
RETURNING e.id AS inbound_event_id, e.state, e.emitted, e.attempts, e.received_at
