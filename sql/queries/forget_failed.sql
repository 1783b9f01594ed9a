-- Deletes failed deliveries that were given up before $1 and returns their ids, at most $2.
DELETE FROM hydra.delivery AS d
WHERE d.id = ANY (ARRAY(SELECT old.id FROM hydra.delivery AS old
                        WHERE old.state = 'failed' AND old.failed_at < $1
                        ORDER BY old.failed_at
                        LIMIT $2))
RETURNING d.id AS delivery_id
