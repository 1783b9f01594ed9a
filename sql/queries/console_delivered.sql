-- Returns the latest 50 deliveries to subscription $1 that have succeeded and are kept, the newest first.
SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.to_jsonb(r) ORDER BY r.delivered_at DESC), '[]')
FROM (SELECT k.id AS delivery_id, k.event_type AS event, k.entity_type, k.entity_id, k.attempts, k.status_code, k.response_ms,
             k.delivered_at
      FROM hydra.delivered AS k
      WHERE k.subscription_id = $1
      ORDER BY k.delivered_at DESC LIMIT 50) AS r
