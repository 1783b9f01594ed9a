-- History.
INSERT INTO hydra.attempt (delivery_id, subscription_id, event_id, event_type, attempt, status_code, error_class, error,
                           response_excerpt, response_ms, attempted_at, next_attempt_at)
SELECT *
FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2), pg_catalog.unnest($3), pg_catalog.unnest($4),
                pg_catalog.unnest($5), pg_catalog.unnest($6), pg_catalog.unnest($7), pg_catalog.unnest($8),
                pg_catalog.unnest($9), pg_catalog.unnest($10), pg_catalog.unnest($11), pg_catalog.unnest($12))
