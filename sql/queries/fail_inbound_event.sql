-- Records why the inbound event $1 has failed: the error $2 with the SQLSTATE $3, unless it has failed before and $4 is false.
-- It is due again if it has attempts left.
UPDATE hydra.inbound_event AS e
SET state = 'failed',
    error = CASE WHEN $4 OR e.error IS NULL THEN $2 ELSE e.error END,
    sqlstate = CASE WHEN $4 OR e.error IS NULL THEN $3 ELSE e.sqlstate END,
    due_at = CASE WHEN hydra._next_attempt(e.attempts) IS NOT NULL THEN e.due_at END
WHERE e.id = $1 AND e.state IN ('received', 'failed')
