-- Deletes kept events that are older than $1 and returns their ids, at most $2.
DELETE FROM hydra.kept_event AS k
WHERE k.id = ANY (ARRAY(SELECT old.id FROM hydra.kept_event AS old
                        WHERE old.emitted_at < $1
                        ORDER BY old.emitted_at
                        LIMIT $2))
RETURNING k.id AS kept_id
