-- Removes the oldest messages of mail if they came before $1, with their raw form; at most $2. Returns how many. One that is being
-- taken again stays until later.
WITH gone AS (
    DELETE FROM hydra.mail_message AS m
    WHERE m.id = ANY (ARRAY(SELECT old.id FROM hydra.mail_message AS old WHERE old.received_at < $1
                            ORDER BY old.received_at LIMIT $2 FOR UPDATE SKIP LOCKED))
    RETURNING 1)
SELECT pg_catalog.count(*) AS removed FROM gone
