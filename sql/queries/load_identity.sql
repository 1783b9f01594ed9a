-- The installation that deliveries belong to, and whether it is this one.
SELECT (pg_catalog.array_agg(i.namespace::text ORDER BY i.adopted_at DESC))[1], hydra._at_home()
FROM hydra.identity AS i
