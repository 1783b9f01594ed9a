-- Deletes deliveries that were kept until now and returns their ids, at most $1.
DELETE FROM hydra.delivered AS k
WHERE k.id = ANY (ARRAY(SELECT old.id FROM hydra.delivered AS old
                        WHERE old.kept_until < pg_catalog.statement_timestamp()
                        ORDER BY old.kept_until
                        LIMIT $1))
RETURNING k.id AS delivery_id
