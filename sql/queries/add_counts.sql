-- Deliveries and failed attempts of the last minute; $2 is hours since 1970.
INSERT INTO hydra.delivery_count AS c (subscription_id, hour, delivered, failed_attempts)
SELECT n.id, pg_catalog.to_timestamp(n.hour * 3600.0), n.delivered, n.failed_attempts
FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2), pg_catalog.unnest($3), pg_catalog.unnest($4))
     AS n (id, hour, delivered, failed_attempts)
ON CONFLICT (subscription_id, hour) DO UPDATE
SET delivered = c.delivered + excluded.delivered, failed_attempts = c.failed_attempts + excluded.failed_attempts
