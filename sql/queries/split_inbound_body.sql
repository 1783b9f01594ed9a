-- Returns the events that a path ($2; null: the whole) finds in a body ($1), in their order, at most $5, with the ids and types
-- that further paths ($3, $4; null: none) find in each. A path that does not fit a value finds nothing.
SELECT e.element::text AS element,
       pg_catalog.jsonb_path_query_first(e.element, $3::jsonpath, '{}', true) #>> '{}' AS external_id,
       pg_catalog.jsonb_path_query_first(e.element, $4::jsonpath, '{}', true) #>> '{}' AS external_type
FROM pg_catalog.jsonb_path_query($1::jsonb, coalesce($2, '$')::jsonpath, '{}', true) WITH ORDINALITY AS e (element, place)
ORDER BY e.place
LIMIT $5
