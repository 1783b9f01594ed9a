-- Adds counts to the rows of hydra.attempt_count. $1 to $9, one entry for each row: subscription, hour (whole hours since
-- 1970), event type, tenant, status code, error class and whether it is of others, as in the table, number of attempts and
-- of deliveries that were given up. $10: the response times of all rows, $11 buckets for each row, one row after the other.
-- A subscription has at most $12 rows in an hour that are not of others, and $13 rows of others with an event type. Of new
-- rows, those with the most attempts come first. What does not fit is counted without its tenant, and then without its
-- event type.
WITH counted AS (
    SELECT n.subscription_id, pg_catalog.to_timestamp(n.hour * 3600.0) AS hour, n.event_type, n.tenant_id, n.status_code,
           n.error_class, n.others, n.attempts, n.failed, $10[(n.place - 1) * $11 + 1 : n.place * $11] AS response_times
    FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2), pg_catalog.unnest($3), pg_catalog.unnest($4),
                    pg_catalog.unnest($5), pg_catalog.unnest($6), pg_catalog.unnest($7), pg_catalog.unnest($8),
                    pg_catalog.unnest($9)) WITH ORDINALITY
         AS n (subscription_id, hour, event_type, tenant_id, status_code, error_class, others, attempts, failed, place)
), stored AS MATERIALIZED (
    SELECT k.subscription_id, k.hour, pg_catalog.count(*) FILTER (WHERE NOT c.others) AS with_tenant,
           pg_catalog.count(*) FILTER (WHERE c.others AND c.event_type <> '') AS with_event_type
    FROM (SELECT DISTINCT n.subscription_id, n.hour FROM counted AS n) AS k
    JOIN hydra.attempt_count AS c ON c.hour = k.hour AND c.subscription_id = k.subscription_id
    GROUP BY k.subscription_id, k.hour
), by_tenant AS (
    SELECT n.*,
           n.others OR n.is_stored
           OR coalesce(s.with_tenant, 0)
              + pg_catalog.row_number() OVER (PARTITION BY n.subscription_id, n.hour, n.others, n.is_stored
                                              ORDER BY n.attempts DESC) <= $12 AS fits
    FROM (SELECT n.*, EXISTS (SELECT FROM hydra.attempt_count AS c
                              WHERE c.hour = n.hour AND c.subscription_id = n.subscription_id
                                    AND c.event_type = n.event_type AND c.tenant_id = n.tenant_id
                                    AND c.status_code = n.status_code AND c.error_class = n.error_class
                                    AND c.others = n.others) AS is_stored
          FROM counted AS n) AS n
    LEFT JOIN stored AS s ON s.subscription_id = n.subscription_id AND s.hour = n.hour
), with_tenant AS (
    SELECT t.subscription_id, t.hour, t.event_type, CASE WHEN t.fits THEN t.tenant_id ELSE '' END AS tenant_id,
           t.status_code, t.error_class, t.others OR NOT t.fits AS others, pg_catalog.sum(t.attempts)::bigint AS attempts,
           pg_catalog.sum(t.failed)::bigint AS failed, hydra.webhook_merge(t.response_times) AS response_times
    FROM by_tenant AS t
    GROUP BY 1, 2, 3, 4, 5, 6, 7
), by_event_type AS (
    SELECT n.*,
           NOT n.others OR n.is_stored
           OR coalesce(s.with_event_type, 0)
              + pg_catalog.row_number() OVER (PARTITION BY n.subscription_id, n.hour, n.others, n.event_type = '', n.is_stored
                                              ORDER BY n.attempts DESC) <= $13 AS fits
    FROM (SELECT n.*, n.others
                      AND EXISTS (SELECT FROM hydra.attempt_count AS c
                                  WHERE c.hour = n.hour AND c.subscription_id = n.subscription_id
                                        AND c.event_type = n.event_type AND c.tenant_id = n.tenant_id
                                        AND c.status_code = n.status_code AND c.error_class = n.error_class
                                        AND c.others) AS is_stored
          FROM with_tenant AS n) AS n
    LEFT JOIN stored AS s ON s.subscription_id = n.subscription_id AND s.hour = n.hour
)
INSERT INTO hydra.attempt_count AS c (subscription_id, hour, event_type, tenant_id, status_code, error_class, others, attempts,
                                      failed, response_times)
SELECT e.subscription_id, e.hour, CASE WHEN e.fits THEN e.event_type ELSE '' END, e.tenant_id, e.status_code, e.error_class,
       e.others, pg_catalog.sum(e.attempts)::bigint, pg_catalog.sum(e.failed)::bigint, hydra.webhook_merge(e.response_times)
FROM by_event_type AS e
GROUP BY 1, 2, 3, 4, 5, 6, 7
ON CONFLICT (hour, subscription_id, event_type, tenant_id, status_code, error_class, others) DO UPDATE
SET attempts = c.attempts + excluded.attempts, failed = c.failed + excluded.failed,
    response_times = (SELECT hydra.webhook_merge(h.response_times)
                      FROM (VALUES (c.response_times), (excluded.response_times)) AS h (response_times))
