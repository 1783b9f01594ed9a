-- Takes back the attempt of the inbound event $1, which was not made.
UPDATE hydra.inbound_event AS e SET attempts = e.attempts - 1, due_at = pg_catalog.now()
WHERE e.id = $1 AND e.state IN ('received', 'failed') AND e.due_at IS NOT NULL AND e.attempts > 0
