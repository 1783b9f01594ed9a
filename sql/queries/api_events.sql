-- Returns all event types, and for each the resource whose rows are sent as they are shown, if there is one: that of a watch without an
-- entity of its own, with the same columns. If it is watched in several ways, all of them send the rows of that resource.
SELECT t.name, t.description,
       (SELECT CASE WHEN pg_catalog.count(*) = pg_catalog.count(sent.resource)
                         AND pg_catalog.min(sent.resource) = pg_catalog.max(sent.resource)
                    THEN pg_catalog.min(sent.resource) END
        FROM (SELECT (SELECT r.name FROM hydra.api_resource AS r
                      WHERE r.relation = w.source AND w.entity IS NULL
                            AND ARRAY(SELECT a.attname::text FROM pg_catalog.pg_attribute AS a
                                      WHERE a.attrelid = w.source AND a.attnum > 0 AND NOT a.attisdropped
                                            AND (w."only" IS NULL OR a.attname::text = ANY (w."only"))
                                            AND (w."except" IS NULL OR a.attname::text <> ALL (w."except"))
                                      ORDER BY 1)
                                = ARRAY(SELECT shown::text FROM pg_catalog.unnest(r.readable) AS shown ORDER BY 1)
                      ORDER BY r.id LIMIT 1) AS resource
              FROM hydra.webhook_watches AS w
              WHERE w.event = t.name) AS sent) AS resource
FROM hydra.event_type AS t
ORDER BY t.name
