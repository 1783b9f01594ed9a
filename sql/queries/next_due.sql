-- When the earliest waiting delivery of each subscription of $1 is due.
SELECT asked.id,
       (SELECT d.due_at FROM hydra.delivery AS d
        WHERE d.subscription_id = asked.id AND d.state = 'pending' AND d.claimed_by IS NULL
        ORDER BY d.due_at, d.event_id LIMIT 1) AS due_at
FROM pg_catalog.unnest($1) AS asked (id)
