-- Deletes counts of hours that ended before $1, and of subscriptions that no longer exist; returns their subscriptions.
-- At most $2 of each kind. The subscriptions are found by jumping from one to the next in the index, because each may
-- have thousands of rows.
WITH RECURSIVE counted AS (
    (SELECT c.subscription_id FROM hydra.delivery_count AS c ORDER BY c.subscription_id LIMIT 1)
    UNION ALL
    SELECT (SELECT c.subscription_id FROM hydra.delivery_count AS c
            WHERE c.subscription_id > counted.subscription_id ORDER BY c.subscription_id LIMIT 1)
    FROM counted
    WHERE counted.subscription_id IS NOT NULL
), deleted AS (
    SELECT c.subscription_id FROM counted AS c
    WHERE NOT EXISTS (SELECT FROM hydra.subscription AS s WHERE s.id = c.subscription_id)
)
DELETE FROM hydra.delivery_count AS c
WHERE c.ctid = ANY (ARRAY(SELECT old.ctid FROM hydra.delivery_count AS old
                          WHERE old.hour < $1 - interval '1 hour'
                          ORDER BY old.hour
                          LIMIT $2))
   OR c.ctid = ANY (ARRAY(SELECT of_deleted.ctid FROM hydra.delivery_count AS of_deleted
                          WHERE of_deleted.subscription_id IN (SELECT d.subscription_id FROM deleted AS d)
                          LIMIT $2))
RETURNING c.subscription_id
