-- Returns tenant, filter and event types of each subscription that gets events or misses them; event types are separated by
-- spaces. The query is a plain scan, because every session that emits runs it, and there may be ten thousand rows. A
-- condition may be added that chooses some of them. The query is parsed with the search_path of that session, so every
-- name and operator is qualified.
SELECT s.id AS subscription_id,
       s.tenant_id,
       s.filter,
       s.status OPERATOR(pg_catalog.<>) 'active' AS misses,
       pg_catalog.array_to_string(s.event_types, ' ') AS event_types
FROM hydra.subscription AS s
WHERE (s.status OPERATOR(pg_catalog.<>) 'paused' OR s.keeps_events)
