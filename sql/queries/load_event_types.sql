-- What an emit needs to know: event types, and for each the active subscriptions that want it, with their tenants and
-- filters. Parsed with the search_path of whoever emits, so every name and operator is qualified.
SELECT t.name, t.entity_type, t.id_key, wanted.ids, wanted.tenants, wanted.filters
FROM hydra.event_type AS t
LEFT JOIN (
    SELECT choice.event_type,
           pg_catalog.array_agg(s.id ORDER BY s.id USING OPERATOR(pg_catalog.<)) AS ids,
           pg_catalog.array_agg(s.tenant_id ORDER BY s.id USING OPERATOR(pg_catalog.<)) AS tenants,
           pg_catalog.array_agg(s.filter::pg_catalog.text ORDER BY s.id USING OPERATOR(pg_catalog.<)) AS filters
    FROM (
        -- Apart from each other: by name is one pass, whatever the number of subscriptions.
        SELECT plain.id, named.wanted AS event_type
        FROM hydra.subscription AS plain CROSS JOIN LATERAL pg_catalog.unnest(plain.event_types) AS named (wanted)
        WHERE pg_catalog.right(named.wanted, 1) OPERATOR(pg_catalog.<>) '*'
        UNION
        SELECT wild.id, known.name
        FROM hydra.subscription AS wild
        CROSS JOIN LATERAL pg_catalog.unnest(wild.event_types) AS named (wanted)
        JOIN hydra.event_type AS known ON hydra._names_event_type(named.wanted, known.name)
        WHERE pg_catalog.right(named.wanted, 1) OPERATOR(pg_catalog.=) '*') AS choice
    JOIN hydra.subscription AS s ON s.id OPERATOR(pg_catalog.=) choice.id
    WHERE s.status OPERATOR(pg_catalog.=) 'active'
    GROUP BY choice.event_type) AS wanted ON wanted.event_type OPERATOR(pg_catalog.=) t.name
-- Those of our own are not for callers to emit.
WHERE t.origin OPERATOR(pg_catalog.<>) 'extension'
