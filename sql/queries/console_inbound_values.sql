-- Returns the settings of adapter $1 as a form shows them.
SELECT pg_catalog.jsonb_build_object('version', a.xmin::text, 'mapping', a.mapping, 'values', pg_catalog.jsonb_build_object(
    'name', a.name, 'provider', a.provider, 'tenant_id', coalesce(a.tenant_id, ''), 'budget', coalesce(a.budget::text, ''),
    'requests_per_second', coalesce(a.requests_per_second::text, ''), 'each', coalesce(a.each::text, ''),
    'id_path', coalesce(a.id_path::text, ''), 'type_path', coalesce(a.type_path::text, ''),
    'scheme', coalesce(pg_catalog.jsonb_pretty(a.scheme), '')))
FROM hydra.inbound_adapter AS a
WHERE a.id = $1
