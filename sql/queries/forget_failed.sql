-- Deliveries that were given up before $1, at most $2 of them.
DELETE FROM hydra.delivery AS d
WHERE d.id = ANY (ARRAY(SELECT old.id FROM hydra.delivery AS old
                        WHERE old.state = 'failed' AND old.failed_at < $1
                        ORDER BY old.failed_at
                        LIMIT $2))
RETURNING d.id
