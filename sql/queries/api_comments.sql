-- Returns the comments on the columns of our views $1.
SELECT c.relname::text AS view, a.attname::text AS column_name, pg_catalog.col_description(a.attrelid, a.attnum) AS comment
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0
WHERE c.relnamespace = 'hydra'::regnamespace AND c.relname = ANY ($1) AND pg_catalog.col_description(a.attrelid, a.attnum) IS NOT NULL
