-- Deletes counts of hours that ended before $1, at most $2; returns their subscriptions.
DELETE FROM hydra.delivery_count AS c
WHERE c.ctid = ANY (ARRAY(SELECT old.ctid FROM hydra.delivery_count AS old
                          WHERE old.hour < $1 - interval '1 hour'
                          ORDER BY old.hour
                          LIMIT $2))
RETURNING c.subscription_id
