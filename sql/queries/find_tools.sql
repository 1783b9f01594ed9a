-- Returns the tool $1, or all if it is null, of those that a key with the scopes $2 can call, as JSON. A tool whose function is gone or
-- is not one that a tool may call is none.
SELECT pg_catalog.jsonb_build_object(
           'name', t.name, 'title', t.title, 'toolset', t.toolset, 'writes', t.writes, 'destructive', t.destructive,
           'idempotent', t.idempotent, 'rehearsable', t.rehearsable,
           'comment', pg_catalog.obj_description(p.oid, 'pg_proc'),
           'call', pg_catalog.format('%I.%I', t.schema_name, t.function_name),
           'returns_set', p.proretset, 'shape', returned.shape, 'member', returned.member,
           'arguments', coalesce(taken.arguments, '[]')) AS tool
FROM hydra.tool AS t
JOIN hydra.tool_function AS f ON f.id = t.id AND f.obstacle IS NULL
JOIN pg_catalog.pg_proc AS p ON p.oid = f.function_id
JOIN pg_catalog.pg_type AS r ON r.oid = p.prorettype
-- A function with one OUT argument returns a value, and not a row with it.
CROSS JOIN LATERAL (
    SELECT CASE WHEN r.oid = 'pg_catalog.void'::pg_catalog.regtype THEN 'nothing'
                WHEN r.oid IN ('pg_catalog.json'::pg_catalog.regtype, 'pg_catalog.jsonb'::pg_catalog.regtype) THEN 'json'
                WHEN r.typtype = 'c' OR r.oid = 'pg_catalog.record'::pg_catalog.regtype THEN 'row'
                ELSE 'value' END AS shape,
           (SELECT nullif(pg_catalog.min(a.name), '')
            FROM ROWS FROM (pg_catalog.unnest(p.proargmodes), pg_catalog.unnest(p.proargnames)) AS a (mode, name)
            WHERE a.mode IN ('o', 'b', 't')) AS member) AS returned
CROSS JOIN LATERAL (
    SELECT pg_catalog.jsonb_agg(
               pg_catalog.jsonb_build_object(
                   'name', a.name, 'quoted', pg_catalog.quote_ident(a.name), 'type_name', a.type, 'type_oid', a.type_id::bigint,
                   'is_variadic', a.mode = 'v',
                   'default', a.default_value, 'choices', coalesce(labels.choices, checked.choices))
               ORDER BY a.number) AS arguments
    FROM hydra.function_argument AS a
    -- What a domain or an array is made of.
    CROSS JOIN LATERAL (
        WITH RECURSIVE base (depth, oid) AS (
            SELECT 0, a.type_id
            UNION ALL
            SELECT b.depth + 1, CASE d.typtype WHEN 'd' THEN d.typbasetype ELSE d.typelem END
            FROM base AS b
            -- OFFSET 0: looked up by its number, and not by reading all types.
            CROSS JOIN LATERAL (SELECT t.* FROM pg_catalog.pg_type AS t
                                WHERE t.oid = b.oid AND (t.typtype = 'd' OR t.typelem <> 0 AND t.typlen = -1) OFFSET 0) AS d)
        SELECT b.oid
        FROM base AS b
        ORDER BY b.depth DESC
        LIMIT 1) AS base
    CROSS JOIN LATERAL (
        SELECT pg_catalog.jsonb_agg(e.enumlabel ORDER BY e.enumsortorder) AS choices
        FROM pg_catalog.pg_enum AS e
        WHERE e.enumtypid = base.oid) AS labels
    -- The values of a domain with CHECK (VALUE IN ('low', 'high')), as Postgres prints it.
    CROSS JOIN LATERAL (
        SELECT pg_catalog.jsonb_agg(pg_catalog.replace(value.part[1], '''''', '''') ORDER BY value.n) AS choices
        FROM (SELECT pg_catalog.pg_get_constraintdef(c.oid) AS condition
              FROM pg_catalog.pg_constraint AS c
              WHERE c.contypid = a.type_id AND c.contype = 'c'
              ORDER BY c.conname) AS c
        CROSS JOIN LATERAL pg_catalog.regexp_matches(
            c.condition, '''((?:[^'']|'''')*)''::', 'g') WITH ORDINALITY AS value (part, n)
        WHERE c.condition ~ '^CHECK \(+VALUE\)?(::text)? = ANY \(+ARRAY\[''([^'']|'''')*''::[a-z ]+(, ''([^'']|'''')*''::[a-z ]+)*\]\)*(::text\[\])?\)+$'
        ) AS checked
    WHERE a.function_id = p.oid) AS taken
-- One condition for both, so that a plan that is made without knowing $1 is not more expensive, and is kept.
WHERE t.name = coalesce($1, t.name) AND t.scope = ANY ($2)
ORDER BY t.name
