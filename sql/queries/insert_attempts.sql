-- Adds attempts to the history, one array per column.
INSERT INTO hydra.attempt (delivery_id, subscription_id, event_id, event_uuid, event_type, attempt, status_code, error_class,
                           error, response_excerpt, response_ms, attempted_at, next_attempt_at, entity_type, entity_id,
                           tenant_id, emitted_at)
SELECT n.delivery_id, n.subscription_id, n.event_id, n.event_uuid, n.event_type, n.attempt, n.status_code, n.error_class,
       n.error, n.response_excerpt, n.response_ms, n.attempted_at, n.next_attempt_at, n.entity_type, n.entity_id,
       n.tenant_id, n.emitted_at
FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2), pg_catalog.unnest($3), pg_catalog.unnest($4),
                pg_catalog.unnest($5), pg_catalog.unnest($6), pg_catalog.unnest($7), pg_catalog.unnest($8),
                pg_catalog.unnest($9), pg_catalog.unnest($10), pg_catalog.unnest($11), pg_catalog.unnest($12),
                pg_catalog.unnest($13), pg_catalog.unnest($14), pg_catalog.unnest($15), pg_catalog.unnest($16),
                pg_catalog.unnest($17))
     AS n (delivery_id, subscription_id, event_id, event_uuid, event_type, attempt, status_code, error_class, error,
           response_excerpt, response_ms, attempted_at, next_attempt_at, entity_type, entity_id, tenant_id, emitted_at)
