-- Consecutive failures, where the subscription still exists.
INSERT INTO hydra.subscription_health AS h (subscription_id, consecutive_failures)
SELECT n.id, n.failures
FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2)) AS n (id, failures)
JOIN hydra.subscription AS s ON s.id = n.id
ON CONFLICT (subscription_id) DO UPDATE
SET consecutive_failures = excluded.consecutive_failures, changed_at = pg_catalog.now()
