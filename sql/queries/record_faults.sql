-- Records why the deliveries of those subscriptions of $1 that still exist wait ($2; null: they do not wait any more).
INSERT INTO hydra.subscription_health AS h (subscription_id, consecutive_failures, waiting_for)
SELECT n.subscription_id, 0, n.fault
FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2)) AS n (subscription_id, fault)
JOIN hydra.subscription AS s ON s.id = n.subscription_id
ON CONFLICT (subscription_id) DO UPDATE SET waiting_for = excluded.waiting_for
