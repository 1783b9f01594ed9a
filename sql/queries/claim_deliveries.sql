-- Claims deliveries that are due, and returns them in order of due time and event: at most $2 for each subscription of
-- $1, the earliest due first. $3: number of this run of the dispatcher. The rows are found by an array and not by a
-- join, because the plan is kept: a plan that was made while the table was empty would join in the wrong direction.
WITH due AS MATERIALIZED (
    SELECT q.id
    FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2)) AS room (subscription_id, deliveries),
         LATERAL (SELECT d.id FROM hydra.delivery AS d
                  WHERE d.subscription_id = room.subscription_id AND d.state = 'pending' AND d.claimed_by IS NULL
                    AND d.due_at <= pg_catalog.statement_timestamp()
                  ORDER BY d.due_at, d.event_id
                  LIMIT room.deliveries
                  FOR UPDATE SKIP LOCKED) AS q
), claimed AS (
    UPDATE hydra.delivery AS d SET claimed_by = $3 WHERE d.id = ANY (ARRAY(SELECT due.id FROM due)) RETURNING d.*
)
SELECT c.id AS delivery_id,
       c.subscription_id,
       c.event_id,
       c.event_random,
       c.installation,
       c.event_type,
       c.entity_type,
       c.entity_id,
       c.tenant_id,
       c.operation,
       c.hops,
       c.emitted_at,
       c.preset,
       c.body,
       c.attempts,
       c.earlier_attempts,
       c.scheduled_at,
       c.missed
FROM claimed AS c
ORDER BY c.due_at, c.event_id
