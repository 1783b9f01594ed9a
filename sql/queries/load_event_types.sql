-- What an emit needs to know: event types, and for each the active subscriptions that want it, with their tenants.
-- Parsed with the search_path of whoever emits, so every name and operator is qualified.
SELECT t.name, t.entity_type, t.id_key, wanted.ids, wanted.tenants
FROM hydra.event_type AS t
LEFT JOIN (
    SELECT of_it.event_type,
           pg_catalog.array_agg(s.id ORDER BY s.id USING OPERATOR(pg_catalog.<)) AS ids,
           pg_catalog.array_agg(s.tenant_id ORDER BY s.id USING OPERATOR(pg_catalog.<)) AS tenants
    FROM hydra.subscription AS s
    CROSS JOIN LATERAL (SELECT DISTINCT named.event_type
                        FROM pg_catalog.unnest(s.event_types) AS named (event_type)) AS of_it
    WHERE s.status OPERATOR(pg_catalog.=) 'active'
    GROUP BY of_it.event_type) AS wanted ON wanted.event_type OPERATOR(pg_catalog.=) t.name
