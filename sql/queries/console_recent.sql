-- Returns the latest 50 failed attempts of subscription $1, the newest first.
SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.to_jsonb(r) - 'id' ORDER BY r.id DESC), '[]')
FROM (SELECT a.id, a.delivery_id, a.event_type AS event, a.event_id, a.attempt, a.status_code, a.error_class, a.error,
             a.response_excerpt, a.response_ms, a.attempted_at, a.next_attempt_at,
             CASE WHEN d.claimed_by IS NOT NULL THEN 'sending' ELSE coalesce(d.state, 'done') END AS state
      FROM hydra.attempt AS a
      LEFT JOIN hydra.delivery AS d ON d.id = a.delivery_id
      WHERE a.subscription_id = $1 AND (a.error IS NOT NULL) = true
      ORDER BY a.id DESC LIMIT 50) AS r
