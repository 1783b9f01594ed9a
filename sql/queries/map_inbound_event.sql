-- Returns what the paths of a mapping ($2 to $4; null: none) find in an event of another system ($1). A path that does not fit
-- finds nothing.
SELECT pg_catalog.jsonb_path_query_first($1::jsonb, coalesce($2, '$')::jsonpath, '{}', true)::text AS entity,
       pg_catalog.jsonb_path_query_first($1::jsonb, $3::jsonpath, '{}', true) #>> '{}' AS entity_id,
       pg_catalog.jsonb_path_query_first($1::jsonb, $4::jsonpath, '{}', true) #>> '{}' AS tenant_id
