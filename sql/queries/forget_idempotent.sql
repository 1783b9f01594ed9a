-- Removes answers that are older than 24 hours, at most 1000, without waiting for another gateway that does the same.
DELETE FROM hydra.api_idempotency AS i
WHERE (i.key_id, i.idempotency_key) IN (SELECT old.key_id, old.idempotency_key
                                        FROM hydra.api_idempotency AS old
                                        WHERE old.created_at < pg_catalog.now() - interval '24 hours'
                                        ORDER BY old.created_at
                                        LIMIT 1000
                                        FOR UPDATE SKIP LOCKED)
