-- Returns for each subscription of $1 when its earliest waiting delivery is due; null if none is waiting.
SELECT asked.subscription_id,
       (SELECT d.due_at FROM hydra.delivery AS d
        WHERE d.subscription_id = asked.subscription_id AND d.state = 'pending' AND d.claimed_by IS NULL
        ORDER BY d.due_at, d.event_id LIMIT 1) AS due_at
FROM pg_catalog.unnest($1) AS asked (subscription_id)
