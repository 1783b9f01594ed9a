-- Removes the oldest inbound events if they came before $1 and are not due; at most $2. Returns how many.
WITH gone AS (
    DELETE FROM hydra.inbound_event AS e
    WHERE e.id = ANY (ARRAY(SELECT old.id FROM hydra.inbound_event AS old WHERE old.due_at IS NULL ORDER BY old.id LIMIT $2))
          AND e.received_at < $1
    RETURNING 1)
SELECT pg_catalog.count(*) AS removed FROM gone
