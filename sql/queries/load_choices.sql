-- What each active subscription wants. A plain scan, and no more: ten thousand rows of it are read by every session that
-- emits. Parsed with the search_path of whoever emits, so every name and operator is qualified.
SELECT s.id, s.tenant_id, s.filter::pg_catalog.text, pg_catalog.array_to_string(s.event_types, ' ')
FROM hydra.subscription AS s
WHERE s.status OPERATOR(pg_catalog.=) 'active'
