-- Returns the names of the types $1: of a domain that of the type that it is made of. The second value says whether it is a row type, or
-- an array of one.
WITH RECURSIVE base (type_id, is_array, oid, modifier) AS (
    SELECT t.oid, t.typelem <> 0 AND t.typlen = -1, CASE WHEN t.typelem <> 0 AND t.typlen = -1 THEN t.typelem ELSE t.oid END, -1
    FROM pg_catalog.pg_type AS t
    WHERE t.oid = ANY ($1)
    UNION ALL
    SELECT b.type_id, b.is_array, t.typbasetype, t.typtypmod
    FROM base AS b
    JOIN pg_catalog.pg_type AS t ON t.oid = b.oid AND t.typtype = 'd'
)
SELECT b.type_id, pg_catalog.format_type(b.oid, b.modifier) || CASE WHEN b.is_array THEN '[]' ELSE '' END AS name,
       t.typtype = 'c' AS is_record
FROM base AS b
JOIN pg_catalog.pg_type AS t ON t.oid = b.oid AND t.typtype <> 'd'
