-- Adds counts to the rows of subscriptions and hours. $1 to $5, one entry for each row: subscription, hour (whole hours
-- since 1970), deliveries that succeeded, failed attempts, deliveries that were given up. $6: the response times of all
-- rows, $7 buckets for each row, one row after the other.
INSERT INTO hydra.delivery_count AS c (subscription_id, hour, delivered, failed_attempts, failed, response_times)
SELECT n.subscription_id, pg_catalog.to_timestamp(n.hour * 3600.0), n.delivered, n.failed_attempts, n.failed,
       $6[(n.place - 1) * $7 + 1 : n.place * $7]
FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2), pg_catalog.unnest($3), pg_catalog.unnest($4),
                pg_catalog.unnest($5)) WITH ORDINALITY
     AS n (subscription_id, hour, delivered, failed_attempts, failed, place)
ON CONFLICT (subscription_id, hour) DO UPDATE
SET delivered = c.delivered + excluded.delivered, failed_attempts = c.failed_attempts + excluded.failed_attempts,
    failed = c.failed + excluded.failed,
    response_times = ARRAY(SELECT t.old + t.added
                           FROM ROWS FROM (pg_catalog.unnest(c.response_times), pg_catalog.unnest(excluded.response_times))
                                WITH ORDINALITY AS t (old, added, place)
                           ORDER BY t.place)
