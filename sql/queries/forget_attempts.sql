-- Deletes history older than $1 and returns the ids of the deleted rows, at most $2. Only the first rows in the order
-- of their ids are read. This order differs from the order of time only by moments, so the old rows come first. Rows of
-- the future, written while the clock was wrong, are passed over.
WITH head AS MATERIALIZED (
    SELECT a.id, a.attempted_at FROM hydra.attempt AS a
    WHERE a.attempted_at <= pg_catalog.statement_timestamp()
    ORDER BY a.id LIMIT $2
)
DELETE FROM hydra.attempt AS a
WHERE a.id = ANY (ARRAY(SELECT head.id FROM head WHERE head.attempted_at < $1))
RETURNING a.id AS attempt_id
