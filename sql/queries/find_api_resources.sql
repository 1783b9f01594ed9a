-- Returns the resource $1, or all if it is null, as JSON. A resource whose relation, id or tenant column is gone is none. Other
-- columns that are gone are left out.
WITH resource AS (
    SELECT r.*, r.tableoid AS stored_in, c.oid AS relation_id, pg_catalog.format('%I.%I', n.nspname, c.relname) AS "table"
    FROM hydra.api_resource AS r
    JOIN pg_catalog.pg_class AS c ON c.oid = r.relation
    JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
    WHERE $1 IS NULL OR r.name = $1
)
SELECT pg_catalog.jsonb_build_object(
           'stored_in', r.stored_in::bigint, 'name', r.name, 'relation', r.relation_id::bigint, 'table', r."table", 'id_column', r.id_column,
           'tenant_column', r.tenant_column, 'readable', r.readable, 'creatable', r.creatable, 'updatable', r.updatable,
           'filterable', r.filterable, 'sortable', r.sortable, 'deletable', r.deletable,
           'toolset', r.toolset, 'description', coalesce(r.description, pg_catalog.obj_description(r.relation_id, 'pg_class')),
           'columns', own.columns) AS resource
FROM resource AS r
CROSS JOIN LATERAL (
    SELECT pg_catalog.jsonb_agg(
               pg_catalog.jsonb_build_object(
                   'name', a.attname, 'quoted', pg_catalog.quote_ident(a.attname),
                   'type_name', pg_catalog.format_type(a.atttypid, -1),
                   'declared', pg_catalog.format_type(a.atttypid, a.atttypmod), 'type_oid', a.atttypid::bigint,
                   'modifier', a.atttypmod, 'dimensions', a.attndims,
                   'operators', operators.schema, 'not_null', a.attnotnull OR t.typnotnull,
                   'has_default', a.atthasdef OR a.attidentity <> '' OR t.typdefault IS NOT NULL,
                   'is_generated', a.attgenerated <> '' OR a.attidentity = 'a',
                   'comment', pg_catalog.col_description(a.attrelid, a.attnum),
                   'choices', coalesce(labels.choices, checked.choices))
               ORDER BY a.attnum) AS columns
    FROM pg_catalog.pg_attribute AS a
    JOIN pg_catalog.pg_type AS t ON t.oid = a.atttypid
    -- The schema of the operators with which an index of this column is searched.
    CROSS JOIN LATERAL (
        SELECT coalesce(pg_catalog.min(pg_catalog.quote_ident(n.nspname)), 'pg_catalog') AS schema
        FROM pg_catalog.pg_opclass AS o
        JOIN pg_catalog.pg_am AS am ON am.oid = o.opcmethod AND am.amname = 'btree'
        JOIN pg_catalog.pg_amop AS s ON s.amopfamily = o.opcfamily AND s.amopstrategy = 3
                                        AND s.amoplefttype = o.opcintype AND s.amoprighttype = o.opcintype
        JOIN pg_catalog.pg_operator AS p ON p.oid = s.amopopr
        JOIN pg_catalog.pg_namespace AS n ON n.oid = p.oprnamespace
        WHERE o.opcdefault AND o.opcintype = CASE t.typtype WHEN 'd' THEN t.typbasetype ELSE t.oid END) AS operators
    CROSS JOIN LATERAL (
        SELECT pg_catalog.jsonb_agg(e.enumlabel ORDER BY e.enumsortorder) AS choices
        FROM pg_catalog.pg_enum AS e
        WHERE e.enumtypid = t.oid) AS labels
    -- The values of CHECK (status IN ('open', 'closed')), as Postgres prints it.
    CROSS JOIN LATERAL (
        SELECT pg_catalog.jsonb_agg(pg_catalog.replace(value.part[1], '''''', '''') ORDER BY value.n) AS choices
        FROM (SELECT pg_catalog.pg_get_expr(c.conbin, c.conrelid) AS condition
              FROM pg_catalog.pg_constraint AS c
              WHERE c.conrelid = a.attrelid AND c.contype = 'c' AND c.conkey = ARRAY[a.attnum]
              ORDER BY c.conname) AS c
        CROSS JOIN LATERAL pg_catalog.regexp_matches(
            c.condition, '''((?:[^'']|'''')*)''::', 'g') WITH ORDINALITY AS value (part, n)
        WHERE c.condition ~ '^\(+[^=]+ = ANY \(+ARRAY\[''([^'']|'''')*''::[a-z ]+(, ''([^'']|'''')*''::[a-z ]+)*\]\)*(::text\[\])?\)+$'
        ) AS checked
    WHERE a.attrelid = r.relation_id AND a.attnum > 0 AND NOT a.attisdropped
          AND (a.attname IN (r.id_column, r.tenant_column) OR a.attname = ANY (r.readable || r.creatable || r.updatable))) AS own
WHERE EXISTS (SELECT FROM pg_catalog.pg_attribute AS a
              WHERE a.attrelid = r.relation_id AND a.attname = r.id_column AND NOT a.attisdropped)
      AND (r.tenant_column IS NULL
           OR EXISTS (SELECT FROM pg_catalog.pg_attribute AS a
                      WHERE a.attrelid = r.relation_id AND a.attname = r.tenant_column AND NOT a.attisdropped))
ORDER BY r.name
