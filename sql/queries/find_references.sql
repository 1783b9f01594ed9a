-- Returns the foreign keys that have one of the columns $5, as JSON: the table that each refers to, its columns with the operator that
-- compares them, the column with the tenant of that table (that of its resource, or else one named $6), and the role that reads the
-- table, and whether it may. The columns of the resource have the names $1; each is that with the number $3 of the table $2, which the
-- role $4 reads.
WITH origin AS MATERIALIZED (
    SELECT o.*
    FROM ROWS FROM (pg_catalog.unnest($1::text[]), pg_catalog.unnest($2::oid[]), pg_catalog.unnest($3::int2[]), pg_catalog.unnest($4::oid[]))
         AS o (name, relation, number, reader)
)
SELECT DISTINCT pg_catalog.jsonb_build_object(
           'table', pg_catalog.format('%I.%I', n.nspname, t.relname), 'relation', t.oid::bigint,
           'columns', pairs.columns, 'tenant', tenant.described, 'reader', given.reader::bigint,
           'is_readable', pg_catalog.has_any_column_privilege(given.reader, t.oid, 'SELECT')) AS reference
FROM origin AS given
JOIN pg_catalog.pg_constraint AS k ON k.conrelid = given.relation AND k.contype = 'f' AND given.number = ANY (k.conkey)
JOIN pg_catalog.pg_class AS t ON t.oid = k.confrelid
JOIN pg_catalog.pg_namespace AS n ON n.oid = t.relnamespace
CROSS JOIN LATERAL (
    SELECT pg_catalog.jsonb_agg(
               pg_catalog.jsonb_build_object(
                   'local', own.name, 'local_quoted', pg_catalog.quote_ident(own.name),
                   'foreign', pg_catalog.quote_ident(other.attname), 'type', other.atttypid::bigint,
                   'operator', pg_catalog.format('OPERATOR(%I.%s)', s.nspname, o.oprname))
               ORDER BY pair.n) AS columns
    FROM ROWS FROM (pg_catalog.unnest(k.conkey), pg_catalog.unnest(k.confkey), pg_catalog.unnest(k.conpfeqop))
         WITH ORDINALITY AS pair (own, other, operator, n)
    JOIN pg_catalog.pg_attribute AS other ON other.attrelid = k.confrelid AND other.attnum = pair.other
    JOIN pg_catalog.pg_operator AS o ON o.oid = pair.operator
    JOIN pg_catalog.pg_namespace AS s ON s.oid = o.oprnamespace
    -- A view need not have all columns of a foreign key, and can have one of them twice.
    LEFT JOIN LATERAL (SELECT same.name FROM origin AS same
                       WHERE same.relation = k.conrelid AND same.number = pair.own
                       ORDER BY same.name = given.name DESC, same.name = ANY ($5) DESC, same.name
                       LIMIT 1) AS own ON true) AS pairs
LEFT JOIN LATERAL (
    SELECT pg_catalog.jsonb_build_object(
               'quoted', pg_catalog.quote_ident(a.attname), 'type', a.atttypid::bigint, 'operators', operators.schema) AS described
    FROM pg_catalog.pg_attribute AS a
    JOIN pg_catalog.pg_type AS y ON y.oid = a.atttypid
    CROSS JOIN LATERAL (
        SELECT coalesce(pg_catalog.min(pg_catalog.quote_ident(s.nspname)), 'pg_catalog') AS schema
        FROM pg_catalog.pg_opclass AS o
        JOIN pg_catalog.pg_am AS am ON am.oid = o.opcmethod AND am.amname = 'btree'
        JOIN pg_catalog.pg_amop AS e ON e.amopfamily = o.opcfamily AND e.amopstrategy = 3
                                        AND e.amoplefttype = o.opcintype AND e.amoprighttype = o.opcintype
        JOIN pg_catalog.pg_operator AS p ON p.oid = e.amopopr
        JOIN pg_catalog.pg_namespace AS s ON s.oid = p.oprnamespace
        WHERE o.opcdefault AND o.opcintype = CASE y.typtype WHEN 'd' THEN y.typbasetype ELSE y.oid END) AS operators
    WHERE a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
          AND a.attname = coalesce((SELECT pg_catalog.min(r.tenant_column::text)
                                    FROM hydra.api_resource AS r
                                    WHERE r.relation = t.oid), $6)) AS tenant ON true
WHERE given.name = ANY ($5)
ORDER BY reference
