-- Returns all event types, and for each the resource whose rows are sent as they are shown, if there is one: that of a watch without an
-- entity of its own, with the same columns. If it is watched in several ways, all of them send the rows of that resource.
--
-- The watches are read once. With one subquery for each event type, Postgres would expect so much work that it compiled the statement.
WITH watched AS MATERIALIZED (
    SELECT w.event, w.source::oid AS relation,
           CASE WHEN w.entity IS NULL
                THEN ARRAY(SELECT a.attname::text FROM pg_catalog.pg_attribute AS a
                           WHERE a.attrelid = w.source AND a.attnum > 0 AND NOT a.attisdropped
                                 AND (w."only" IS NULL OR a.attname::text = ANY (w."only"))
                                 AND (w."except" IS NULL OR a.attname::text <> ALL (w."except"))
                           ORDER BY 1) END AS columns
    FROM hydra.webhook_watches AS w
), shown AS MATERIALIZED (
    SELECT pg_catalog.min(r.name) AS name, r.relation::oid AS relation, c.columns
    FROM hydra.api_resource AS r
    CROSS JOIN LATERAL (SELECT ARRAY(SELECT name::text FROM pg_catalog.unnest(r.readable) AS name ORDER BY 1) AS columns) AS c
    GROUP BY r.relation::oid, c.columns
), sent AS (
    SELECT w.event,
           CASE WHEN pg_catalog.count(*) = pg_catalog.count(s.name) AND pg_catalog.min(s.name) = pg_catalog.max(s.name)
                THEN pg_catalog.min(s.name) END AS resource
    FROM watched AS w
    LEFT JOIN shown AS s ON s.relation = w.relation AND s.columns = w.columns
    GROUP BY w.event
)
SELECT t.name, t.description, s.resource
FROM hydra.event_type AS t
LEFT JOIN sent AS s ON s.event = t.name
ORDER BY t.name
