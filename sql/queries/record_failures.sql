-- Records the health of those subscriptions of $1 that still exist: the number of consecutive failed attempts ($2),
-- when the first of these attempts failed ($3; null: there are none), and for how many milliseconds they have lasted
-- ($4).
INSERT INTO hydra.subscription_health AS h (subscription_id, consecutive_failures, failing_since, failing_for)
SELECT n.subscription_id, n.failures, n.since, n.millis * interval '1 ms'
FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2), pg_catalog.unnest($3), pg_catalog.unnest($4))
     AS n (subscription_id, failures, since, millis)
JOIN hydra.subscription AS s ON s.id = n.subscription_id
ON CONFLICT (subscription_id) DO UPDATE
SET consecutive_failures = excluded.consecutive_failures, failing_since = excluded.failing_since,
    failing_for = excluded.failing_for
