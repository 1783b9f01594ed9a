-- Removes the oldest runs of flows if they started before $1; at most $2. Returns how many.
WITH gone AS (
    DELETE FROM hydra.flow_run AS r
    WHERE r.id = ANY (ARRAY(SELECT old.id FROM hydra.flow_run AS old ORDER BY old.id LIMIT $2)) AND r.started_at < $1
    RETURNING 1)
SELECT pg_catalog.count(*) AS removed FROM gone
