-- Returns deliveries of the retry queue, and those that have succeeded and are kept, as JSON: of subscriptions of tenant $1 or of all,
-- only that with the id $2, after the id $3, of subscription $4, in state $5, at most $6. Unless $7,
-- errors are shown without what may be secret.
SELECT r.id::text AS key, pg_catalog.row_to_json(r)::text AS row
FROM (SELECT d.id, d.subscription_id, d.event_id, d.event_type AS event, d.entity_type, d.entity_id, d.tenant_id, chosen.state,
             d.attempts, d.emitted_at, d.due_at, d.failed_at, d.missed, latest.error_class,
             CASE WHEN $7 THEN latest.error ELSE hydra._shown_error(latest.error) END AS error, d.status_code,
             d.response_excerpt, d.response_ms, d.delivered_at, d.kept_until
      FROM (SELECT one.id, one.state
            -- All in the order of their ids; those of a subscription or in a state by the indexes that each state has. The first
            -- condition of a part is about the request alone, so that a part is left out without reading it.
            FROM ((SELECT q.id, CASE WHEN q.claimed_by IS NOT NULL THEN 'sending' ELSE q.state END AS state FROM hydra.delivery AS q
                   WHERE $4 IS NULL AND $5 IS NULL
                         AND ($1 IS NULL OR EXISTS (SELECT FROM hydra.subscription AS s
                                                    WHERE s.id = q.subscription_id AND s.tenant_id = $1))
                         AND ($2 IS NULL OR q.id = $2::text::uuid) AND ($3 IS NULL OR q.id > $3::text::uuid)
                   ORDER BY q.id LIMIT $6)
                  UNION ALL
                  (SELECT q.id, 'pending' FROM hydra.delivery AS q
                   WHERE ($5 = 'pending' OR $5 IS NULL AND $4 IS NOT NULL) AND q.state = 'pending' AND q.claimed_by IS NULL
                         AND ($1 IS NULL OR EXISTS (SELECT FROM hydra.subscription AS s
                                                    WHERE s.id = q.subscription_id AND s.tenant_id = $1))
                         AND ($2 IS NULL OR q.id = $2::text::uuid) AND ($3 IS NULL OR q.id > $3::text::uuid)
                         AND ($4 IS NULL OR q.subscription_id = $4::text::bigint)
                   ORDER BY q.id LIMIT $6)
                  UNION ALL
                  (SELECT q.id, 'sending' FROM hydra.delivery AS q
                   WHERE ($5 = 'sending' OR $5 IS NULL AND $4 IS NOT NULL) AND q.claimed_by IS NOT NULL
                         AND ($1 IS NULL OR EXISTS (SELECT FROM hydra.subscription AS s
                                                    WHERE s.id = q.subscription_id AND s.tenant_id = $1))
                         AND ($2 IS NULL OR q.id = $2::text::uuid) AND ($3 IS NULL OR q.id > $3::text::uuid)
                         AND ($4 IS NULL OR q.subscription_id = $4::text::bigint)
                   ORDER BY q.id LIMIT $6)
                  UNION ALL
                  (SELECT q.id, 'failed' FROM hydra.delivery AS q
                   WHERE ($5 = 'failed' OR $5 IS NULL AND $4 IS NOT NULL) AND q.state = 'failed'
                         AND ($1 IS NULL OR EXISTS (SELECT FROM hydra.subscription AS s
                                                    WHERE s.id = q.subscription_id AND s.tenant_id = $1))
                         AND ($2 IS NULL OR q.id = $2::text::uuid) AND ($3 IS NULL OR q.id > $3::text::uuid)
                         AND ($4 IS NULL OR q.subscription_id = $4::text::bigint)
                   ORDER BY q.id LIMIT $6)
                  UNION ALL
                  (SELECT k.id, 'delivered' FROM hydra.delivered AS k
                   WHERE ($5 = 'delivered' OR $5 IS NULL)
                         AND ($1 IS NULL OR EXISTS (SELECT FROM hydra.subscription AS s
                                                    WHERE s.id = k.subscription_id AND s.tenant_id = $1))
                         AND ($2 IS NULL OR k.id = $2::text::uuid) AND ($3 IS NULL OR k.id > $3::text::uuid)
                         AND ($4 IS NULL OR k.subscription_id = $4::text::bigint)
                   ORDER BY k.id LIMIT $6)) AS one
            ORDER BY one.id LIMIT $6) AS chosen
      CROSS JOIN LATERAL (
            SELECT q.id, q.subscription_id, q.event_id, q.event_type, q.entity_type, q.entity_id, q.tenant_id, q.attempts, q.emitted_at,
                   q.due_at, q.failed_at, q.missed, NULL::integer AS status_code, NULL::text AS response_excerpt,
                   NULL::integer AS response_ms, NULL::timestamptz AS delivered_at, NULL::timestamptz AS kept_until
            FROM hydra.delivery AS q WHERE q.id = chosen.id AND chosen.state <> 'delivered'
            UNION ALL
            SELECT k.id, k.subscription_id, k.event_id, k.event_type, k.entity_type, k.entity_id, k.tenant_id, k.attempts, k.emitted_at,
                   NULL, NULL, false, k.status_code, k.response_excerpt, k.response_ms, k.delivered_at, k.kept_until
            FROM hydra.delivered AS k WHERE k.id = chosen.id AND chosen.state = 'delivered') AS d
      LEFT JOIN LATERAL (SELECT a.error_class, a.error FROM hydra.attempt AS a
                         WHERE a.delivery_id = d.id ORDER BY a.attempt DESC, a.id DESC LIMIT 1) AS latest ON true) AS r
ORDER BY r.id
