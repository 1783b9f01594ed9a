-- Keeps deliveries that have succeeded, one array per column. $14 has the place of the body in $15, so that a body that
-- several deliveries share is passed once. A delivery that is kept already was sent again, because a crash came before its
-- end was recorded.
INSERT INTO hydra.delivered (id, subscription_id, event_id, event_random, installation, event_type, entity_type, entity_id,
                             tenant_id, operation, hops, emitted_at, preset, body, attempts, status_code, response_excerpt,
                             response_ms, delivered_at, kept_until)
SELECT n.id, n.subscription_id, n.event_id, n.event_random, n.installation, n.event_type, n.entity_type, n.entity_id,
       n.tenant_id, n.operation, n.hops, n.emitted_at, n.preset, ($15)[n.body_place], n.attempts, n.status_code,
       n.response_excerpt, n.response_ms, n.delivered_at, n.kept_until
FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2), pg_catalog.unnest($3), pg_catalog.unnest($4),
                pg_catalog.unnest($5), pg_catalog.unnest($6), pg_catalog.unnest($7), pg_catalog.unnest($8),
                pg_catalog.unnest($9), pg_catalog.unnest($10), pg_catalog.unnest($11), pg_catalog.unnest($12),
                pg_catalog.unnest($13), pg_catalog.unnest($14), pg_catalog.unnest($16), pg_catalog.unnest($17),
                pg_catalog.unnest($18), pg_catalog.unnest($19), pg_catalog.unnest($20), pg_catalog.unnest($21))
     AS n (id, subscription_id, event_id, event_random, installation, event_type, entity_type, entity_id, tenant_id,
           operation, hops, emitted_at, preset, body_place, attempts, status_code, response_excerpt, response_ms,
           delivered_at, kept_until)
ON CONFLICT (id) DO UPDATE
SET attempts = excluded.attempts, status_code = excluded.status_code, response_excerpt = excluded.response_excerpt,
    response_ms = excluded.response_ms, delivered_at = excluded.delivered_at, kept_until = excluded.kept_until
