-- History older than $1, at most $2 rows of it. In order of recording, which is that of time but for moments: what is old
-- stands at the head, and is found without a look at the rest.
WITH head AS MATERIALIZED (
    SELECT a.id, a.attempted_at FROM hydra.attempt AS a ORDER BY a.id LIMIT $2
)
DELETE FROM hydra.attempt AS a
WHERE a.id = ANY (ARRAY(SELECT head.id FROM head WHERE head.attempted_at < $1))
RETURNING a.id
