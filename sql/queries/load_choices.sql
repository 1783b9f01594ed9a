-- What each active subscription wants. Only a plain scan, because every session that emits reads all subscriptions, which may
-- be ten thousand. Parsed with the search_path of that session, so every name and operator is qualified.
SELECT s.id, s.tenant_id, s.filter::pg_catalog.text, pg_catalog.array_to_string(s.event_types, ' ')
FROM hydra.subscription AS s
WHERE s.status OPERATOR(pg_catalog.=) 'active'
