-- Returns the foreign keys of the relation $1 that have one of the columns $2, as JSON: the table that each refers to, its
-- columns with the operator that compares them, the column with the tenant of that table (that of its resource, or else one
-- named $3), and whether the role $4 may read it.
SELECT pg_catalog.jsonb_build_object(
           'table', pg_catalog.format('%I.%I', n.nspname, t.relname), 'relation', t.oid::bigint,
           'columns', pairs.columns, 'tenant', tenant.name, 'tenant_type', tenant.type_name,
           'is_readable', pg_catalog.has_any_column_privilege($4, t.oid, 'SELECT')) AS reference
FROM pg_catalog.pg_constraint AS k
JOIN pg_catalog.pg_class AS t ON t.oid = k.confrelid
JOIN pg_catalog.pg_namespace AS n ON n.oid = t.relnamespace
CROSS JOIN LATERAL (
    SELECT pg_catalog.jsonb_agg(
               pg_catalog.jsonb_build_object(
                   'local', own.attname, 'local_quoted', pg_catalog.quote_ident(own.attname),
                   'foreign', pg_catalog.quote_ident(other.attname),
                   'operator', pg_catalog.format('OPERATOR(%I.%s)', s.nspname, o.oprname))
               ORDER BY pair.n) AS columns,
           pg_catalog.bool_or(own.attname::text = ANY ($2)) AS is_given
    FROM ROWS FROM (pg_catalog.unnest(k.conkey), pg_catalog.unnest(k.confkey), pg_catalog.unnest(k.conpfeqop))
         WITH ORDINALITY AS pair (own, other, operator, n)
    JOIN pg_catalog.pg_attribute AS own ON own.attrelid = k.conrelid AND own.attnum = pair.own
    JOIN pg_catalog.pg_attribute AS other ON other.attrelid = k.confrelid AND other.attnum = pair.other
    JOIN pg_catalog.pg_operator AS o ON o.oid = pair.operator
    JOIN pg_catalog.pg_namespace AS s ON s.oid = o.oprnamespace) AS pairs
LEFT JOIN LATERAL (
    SELECT pg_catalog.quote_ident(a.attname) AS name, pg_catalog.format_type(a.atttypid, -1) AS type_name
    FROM pg_catalog.pg_attribute AS a
    WHERE a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
          AND a.attname = coalesce((SELECT pg_catalog.min(r.tenant_column::text)
                                    FROM hydra.api_resource AS r
                                    WHERE r.relation = t.oid), $3)) AS tenant ON true
WHERE k.conrelid = $1 AND k.contype = 'f' AND pairs.is_given
ORDER BY k.conname
