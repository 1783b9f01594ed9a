-- Returns a page of runs of flows as JSON text, the newest first: of tenant $1 or of all, of flow $2, in state $3, before the run $4; at
-- most $5. One row more is read, to find out whether there are more.
WITH run AS (
    SELECT v.id, v.flow_id, v.flow, v.inbound_event_id, v.mode, v.state, v.started_at,
           extract(epoch FROM v.duration)::double precision AS duration, v.result, v.effects, v.error, v.sqlstate
    FROM hydra.flow_runs AS v
    LEFT JOIN hydra.flow AS f ON f.id = v.flow_id
    WHERE ($1 IS NULL OR f.tenant_id = $1) AND ($2 IS NULL OR v.flow_id = $2) AND ($3 IS NULL OR v.state = $3)
          AND ($4 IS NULL OR v.id < $4)
    ORDER BY v.id DESC
    LIMIT $5 + 1),
page AS (
    SELECT r.* FROM run AS r ORDER BY r.id DESC LIMIT $5),
rest AS (
    SELECT (SELECT pg_catalog.count(*) FROM run) > $5 AS has_more)
SELECT pg_catalog.format(
           '{"data":[%s],"has_more":%s,"next_cursor":%s}',
           (SELECT pg_catalog.string_agg(pg_catalog.row_to_json(p)::text, ',' ORDER BY p.id DESC) FROM page AS p),
           r.has_more::text,
           coalesce((SELECT pg_catalog.to_json(pg_catalog.min(p.id)::text)::text FROM page AS p WHERE r.has_more), 'null'))
FROM rest AS r
