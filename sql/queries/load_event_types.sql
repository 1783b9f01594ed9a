-- What an emit needs to know: event types, and for each the active subscriptions that want it, with their tenants.
-- Parsed with the search_path of whoever emits, so every name and operator is qualified.
SELECT t.name, t.entity_type, t.id_key, wanted.ids, wanted.tenants
FROM hydra.event_type AS t
CROSS JOIN LATERAL (
    SELECT pg_catalog.array_agg(s.id ORDER BY s.id USING OPERATOR(pg_catalog.<)) AS ids,
           pg_catalog.array_agg(s.tenant_id ORDER BY s.id USING OPERATOR(pg_catalog.<)) AS tenants
    FROM hydra.subscription AS s
    WHERE s.status OPERATOR(pg_catalog.=) 'active' AND t.name OPERATOR(pg_catalog.=) ANY (s.event_types)) AS wanted
