-- How subscriptions fail, where they still exist.
INSERT INTO hydra.subscription_health AS h (subscription_id, consecutive_failures, failing_since)
SELECT n.id, n.failures, n.since
FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2), pg_catalog.unnest($3)) AS n (id, failures, since)
JOIN hydra.subscription AS s ON s.id = n.id
ON CONFLICT (subscription_id) DO UPDATE
SET consecutive_failures = excluded.consecutive_failures, failing_since = excluded.failing_since
