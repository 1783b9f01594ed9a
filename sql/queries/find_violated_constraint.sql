-- Returns the constraint, or the unique index, $3 of the table $2 in the schema $1, if the table is the relation $4 or one of
-- its partitions: the columns that it is about, and its comment.
SELECT ARRAY(SELECT a.attname::text
             FROM pg_catalog.pg_attribute AS a
             WHERE a.attrelid = t.oid AND a.attnum = ANY (k.numbers)
             ORDER BY a.attnum) AS fields,
       k.comment
FROM pg_catalog.pg_class AS t
JOIN pg_catalog.pg_namespace AS n ON n.oid = t.relnamespace
CROSS JOIN LATERAL (
    SELECT c.conkey AS numbers, pg_catalog.obj_description(c.oid, 'pg_constraint') AS comment
    FROM pg_catalog.pg_constraint AS c
    WHERE c.conrelid = t.oid AND c.conname = $3
    UNION ALL
    -- An index on an expression depends on the columns in it.
    SELECT i.indkey::int2[] || ARRAY(SELECT d.refobjsubid::int2
                                     FROM pg_catalog.pg_depend AS d
                                     WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = i.indexrelid
                                           AND d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid = t.oid),
           pg_catalog.obj_description(i.indexrelid, 'pg_class')
    FROM pg_catalog.pg_index AS i
    JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid
    WHERE i.indrelid = t.oid AND c.relname = $3
    LIMIT 1) AS k
WHERE n.nspname = $1 AND t.relname = $2
      AND (t.oid = $4
           OR EXISTS (SELECT FROM pg_catalog.pg_partition_ancestors(t.oid) AS a (relation) WHERE a.relation = $4))
