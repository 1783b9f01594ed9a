-- Returns the event types, each with the number of webhooks of tenant $1 (of all if it is null) that want it.
SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
           'name', t.name, 'description', t.description, 'entity_type', t.entity_type, 'id_key', t.id_key,
           'origin', t.origin,
           'webhooks', (SELECT pg_catalog.count(*) FROM hydra.subscription AS s
                        WHERE ($1 IS NULL OR s.tenant_id = $1)
                              AND EXISTS (SELECT FROM pg_catalog.unnest(s.event_types) AS wanted
                                          WHERE hydra._names_event_type(wanted, t.name)))) ORDER BY t.name), '[]')
FROM hydra.webhook_event_types AS t
