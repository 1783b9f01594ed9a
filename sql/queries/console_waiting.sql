-- Returns deliveries of subscription $1 that wait or were given up: at most 25 of each, those due first and the newest.
SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.to_jsonb(w) ORDER BY w.failed_at DESC NULLS FIRST, w.due_at), '[]')
FROM (SELECT d.id AS delivery_id, d.event_type AS event, d.emitted_at, d.attempts, d.due_at,
             CASE WHEN d.claimed_by IS NOT NULL THEN 'sending' ELSE d.state END AS state, d.failed_at,
             (SELECT a.error FROM hydra.attempt AS a WHERE a.delivery_id = d.id
              ORDER BY a.attempt DESC, a.id DESC LIMIT 1) AS error
      FROM ((SELECT p.* FROM hydra.delivery AS p
             WHERE p.subscription_id = $1 AND p.state = 'pending' AND p.claimed_by IS NULL
             ORDER BY p.due_at LIMIT 25)
            UNION ALL
            (SELECT c.* FROM hydra.delivery AS c WHERE c.subscription_id = $1 AND c.claimed_by IS NOT NULL LIMIT 25)
            UNION ALL
            (SELECT f.* FROM hydra.delivery AS f
             WHERE f.subscription_id = $1 AND f.state = 'failed'
             ORDER BY f.failed_at DESC LIMIT 25)) AS d) AS w
