-- Deletes history older than $1 and returns the ids of its rows, at most $2. Only the first rows in order of recording are
-- looked at. That is the order of time except for moments, so the old rows come first and the others need not be read.
WITH head AS MATERIALIZED (
    SELECT a.id, a.attempted_at FROM hydra.attempt AS a ORDER BY a.id LIMIT $2
)
DELETE FROM hydra.attempt AS a
WHERE a.id = ANY (ARRAY(SELECT head.id FROM head WHERE head.attempted_at < $1))
RETURNING a.id AS attempt_id
