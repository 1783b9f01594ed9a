-- What an emit needs to know: event types, and for each the active subscriptions that want it, with their tenants and
-- filters; one that names an event type twice comes twice. Parsed with the search_path of whoever emits, so every name and operator is qualified.
SELECT t.name, t.entity_type, t.id_key, wanted.ids, wanted.tenants, wanted.filters
FROM hydra.event_type AS t
LEFT JOIN (
    SELECT choice.event_type,
           pg_catalog.array_agg(choice.id ORDER BY choice.id USING OPERATOR(pg_catalog.<)) AS ids,
           pg_catalog.array_agg(choice.tenant_id ORDER BY choice.id USING OPERATOR(pg_catalog.<)) AS tenants,
           pg_catalog.array_agg(choice.filter ORDER BY choice.id USING OPERATOR(pg_catalog.<)) AS filters
    FROM (
        -- By name, which is one pass over however many subscriptions; and by a star, which few have.
        SELECT s.id, s.tenant_id, s.filter::pg_catalog.text AS filter, named.wanted AS event_type
        FROM hydra.subscription AS s CROSS JOIN LATERAL pg_catalog.unnest(s.event_types) AS named (wanted)
        WHERE s.status OPERATOR(pg_catalog.=) 'active' AND pg_catalog.right(named.wanted, 1) OPERATOR(pg_catalog.<>) '*'
        UNION ALL
        SELECT s.id, s.tenant_id, s.filter::pg_catalog.text, known.name
        FROM hydra.subscription AS s
        CROSS JOIN LATERAL pg_catalog.unnest(s.event_types) AS named (wanted)
        JOIN hydra.event_type AS known ON hydra._names_event_type(named.wanted, known.name)
        WHERE s.status OPERATOR(pg_catalog.=) 'active' AND pg_catalog.right(named.wanted, 1) OPERATOR(pg_catalog.=) '*'
    ) AS choice
    GROUP BY choice.event_type) AS wanted ON wanted.event_type OPERATOR(pg_catalog.=) t.name
-- Those of our own are not for callers to emit.
WHERE t.origin OPERATOR(pg_catalog.<>) 'extension'
