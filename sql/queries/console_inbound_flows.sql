-- Returns the flows that listen to an event of the mapping of adapter $1, of tenant $2 or of all if it is null.
SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.to_jsonb(f) ORDER BY f.name), '[]')
FROM (SELECT v.id, v.name, v.event, v.state
      FROM hydra.flows AS v
      WHERE ($2 IS NULL OR v.tenant_id = $2)
            AND EXISTS (SELECT FROM hydra.inbound_adapters AS a
                        CROSS JOIN LATERAL pg_catalog.jsonb_each(a.mapping) AS pair (external, becomes)
                        WHERE a.id = $1 AND (a.tenant_id IS NULL OR v.tenant_id IS NULL OR v.tenant_id = a.tenant_id)
                              AND hydra._names_event_type(v.event, coalesce(pair.becomes ->> 'event', pair.becomes #>> '{}')))) AS f
