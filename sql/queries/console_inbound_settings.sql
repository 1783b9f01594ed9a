-- Returns the settings of adapter $1 that its model does not have.
SELECT pg_catalog.jsonb_build_object(
    'each', a.each::text, 'id_path', a.id_path::text, 'type_path', a.type_path::text, 'scheme', a.scheme)
FROM hydra.inbound_adapters AS a
WHERE a.id = $1
