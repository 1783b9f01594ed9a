-- Returns what each active subscription wants; event types are separated by spaces. A plain scan and nothing else: every
-- session that emits reads it, and there may be ten thousand rows. Parsed with the search_path of that session, so every
-- name and operator is qualified.
SELECT s.id AS subscription_id,
       s.tenant_id,
       s.filter::pg_catalog.text AS filter,
       pg_catalog.array_to_string(s.event_types, ' ') AS event_types
FROM hydra.subscription AS s
WHERE s.status OPERATOR(pg_catalog.=) 'active'
