-- Returns what the form of a webhook offers: presets, and event types in groups by the first part of their names.
SELECT pg_catalog.jsonb_build_object(
    'presets', (SELECT pg_catalog.jsonb_agg(pg_catalog.to_jsonb(p) ORDER BY p.name) FROM hydra.preset AS p),
    'event_types', (SELECT pg_catalog.jsonb_agg(g.part ORDER BY g.name)
                    FROM (SELECT pg_catalog.split_part(t.name, '.', 1) AS name,
                                 pg_catalog.jsonb_build_object(
                                     'group', pg_catalog.split_part(t.name, '.', 1),
                                     'types', pg_catalog.jsonb_agg(pg_catalog.to_jsonb(t) ORDER BY t.name)) AS part
                          FROM hydra.webhook_event_types AS t
                          GROUP BY pg_catalog.split_part(t.name, '.', 1)) AS g))
