-- The installation that deliveries belong to, and whether every row says that it is this one.
SELECT (pg_catalog.array_agg(i.namespace::text ORDER BY i.adopted_at DESC))[1],
       coalesce(pg_catalog.bool_and(i.system_identifier = control.system_identifier AND i.database_oid = here.oid), false)
FROM hydra.identity AS i, pg_catalog.pg_control_system() AS control, pg_catalog.pg_database AS here
WHERE here.datname = pg_catalog.current_database()
