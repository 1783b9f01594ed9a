-- Returns deliveries of the retry queue as JSON: of subscriptions of tenant $1 or of all, only that with the id $2, after the id $3,
-- of subscription $4, in state $5, at most $6. Unless $7, errors are shown without what may be secret.
SELECT r.id::text AS key, pg_catalog.row_to_json(r)::text AS row
FROM (SELECT d.id, d.subscription_id, d.event_id, d.event_type AS event, d.entity_type, d.entity_id, d.tenant_id,
             state.name AS state, d.attempts, d.emitted_at, d.due_at, d.failed_at, d.missed, latest.error_class,
             CASE WHEN $7 THEN latest.error ELSE hydra._shown_error(latest.error) END AS error
      FROM hydra.delivery AS d
      CROSS JOIN LATERAL (SELECT CASE WHEN d.claimed_by IS NOT NULL THEN 'sending' ELSE d.state END AS name) AS state
      LEFT JOIN LATERAL (SELECT a.error_class, a.error FROM hydra.attempt AS a
                         WHERE a.delivery_id = d.id ORDER BY a.attempt DESC, a.id DESC LIMIT 1) AS latest ON true
      WHERE ($1 IS NULL OR EXISTS (SELECT FROM hydra.subscription AS s WHERE s.id = d.subscription_id AND s.tenant_id = $1))
            AND ($2 IS NULL OR d.id = $2::text::uuid) AND ($3 IS NULL OR d.id > $3::text::uuid)
            AND ($4 IS NULL OR d.subscription_id = $4::text::bigint) AND ($5 IS NULL OR state.name = $5)
      ORDER BY d.id LIMIT $6) AS r
ORDER BY r.id
