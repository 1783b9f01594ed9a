-- Returns the names of the event types that subscription $1 wants and that applications can emit.
SELECT coalesce(pg_catalog.jsonb_agg(t.name ORDER BY t.name), '[]')
FROM hydra.event_type AS t
JOIN hydra.subscription AS s ON s.id = $1
WHERE t.origin <> 'extension'
      AND EXISTS (SELECT FROM pg_catalog.unnest(s.event_types) AS wanted WHERE hydra._names_event_type(wanted, t.name))
