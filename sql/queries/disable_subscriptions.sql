-- Disables the subscriptions $1 for the reasons $2, and returns the ids of those that were disabled. Only active
-- subscriptions are disabled: a user may have paused one in the meantime.
UPDATE hydra.subscription AS s
SET status = 'disabled', disabled_reason = n.reason, status_since = pg_catalog.now()
FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2)) AS n (subscription_id, reason)
WHERE s.id = n.subscription_id AND s.status = 'active'
RETURNING s.id AS subscription_id
