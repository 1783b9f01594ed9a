-- Counts an attempt of the inbound event that is due first, and sets when it is due again if the attempt does not end. Returns
-- the event, and whether it has had all its attempts.
UPDATE hydra.inbound_event AS e
SET attempts = e.attempts + 1,
    due_at = coalesce(hydra._next_attempt(e.attempts + 1), pg_catalog.now() + interval '1 h')
WHERE e.id = (SELECT due.id FROM hydra.inbound_event AS due
              WHERE due.due_at <= pg_catalog.now()
              ORDER BY due.due_at
              LIMIT 1
              FOR NO KEY UPDATE SKIP LOCKED)
RETURNING e.id AS event_id, e.attempts > 1 AND hydra._next_attempt(e.attempts - 1) IS NULL AS is_over
