-- Makes deliveries of the subscriptions $1 due earlier that are due later than their schedule allows: the clock was
-- wrong when they failed, or their schedule was longer. Each becomes due after its present delay, as if it had failed
-- now. At most $2 rows of each subscription; returns their ids. A delay varies by a tenth, and clocks are corrected by
-- less than a second.
WITH far AS MATERIALIZED (
    SELECT q.id, q.delay
    FROM hydra.effective_subscription AS s,
         LATERAL (SELECT coalesce(pg_catalog.max(entry.delay), '0 s') AS delay
                  FROM pg_catalog.unnest(s.retry_schedule) AS entry (delay)) AS longest,
         LATERAL (SELECT d.id, coalesce(s.retry_schedule[d.attempts - d.earlier_attempts], '0 s') AS delay
                  FROM hydra.delivery AS d
                  WHERE d.subscription_id = s.id AND d.state = 'pending' AND d.claimed_by IS NULL
                    AND d.due_at > pg_catalog.statement_timestamp() + longest.delay * 1.1 + interval '1 s'
                  LIMIT $2
                  FOR UPDATE SKIP LOCKED) AS q
    WHERE s.id = ANY ($1)
)
UPDATE hydra.delivery AS d SET due_at = pg_catalog.statement_timestamp() + far.delay
FROM far
WHERE d.id = far.id
RETURNING d.id AS delivery_id
