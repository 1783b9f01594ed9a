-- Returns about how many events and deliveries are waiting, and how many subscriptions have missed. It counts a sample of $1 bytes of each table, so that it
-- takes the same time for tables of any size.
WITH share AS (
    SELECT least(1, $1 / greatest(pg_relation_size('hydra.event'), 1)::float8) AS event,
           least(1, $1 / greatest(pg_relation_size('hydra.delivery'), 1)::float8) AS delivery
)
SELECT (event.found / share.event + delivery.found / share.delivery)::bigint AS pending,
       (delivery.missed / share.delivery)::bigint AS missed
FROM share,
     LATERAL (SELECT count(*) AS found FROM hydra.event TABLESAMPLE SYSTEM (100 * share.event)) AS event,
     LATERAL (SELECT count(*) FILTER (WHERE NOT d.missed) AS found, count(*) FILTER (WHERE d.missed) AS missed
              FROM hydra.delivery AS d TABLESAMPLE SYSTEM (100 * share.delivery)
              WHERE d.state = 'pending') AS delivery
