-- Returns the event types that can be emitted, in groups by the first part of their names.
SELECT coalesce(pg_catalog.jsonb_agg(g.part ORDER BY g.name), '[]')
FROM (SELECT pg_catalog.split_part(t.name, '.', 1) AS name,
             pg_catalog.jsonb_build_object('group', pg_catalog.split_part(t.name, '.', 1),
                                           'types', pg_catalog.jsonb_agg(pg_catalog.to_jsonb(t) ORDER BY t.name)) AS part
      FROM hydra.webhook_event_types AS t
      WHERE t.origin <> 'extension'
      GROUP BY pg_catalog.split_part(t.name, '.', 1)) AS g
