-- Everything that a DBA can see. Every change of the public interface is a difference here.
\pset format unaligned
\set SHOW_CONTEXT never
SELECT p.proname || '(' || pg_get_function_identity_arguments(p.oid) || ')' AS function, pg_get_function_result(p.oid) AS result,
       CASE WHEN p.prosecdef THEN 'definer' ELSE 'invoker' END AS security, obj_description(p.oid, 'pg_proc') AS comment
FROM pg_proc AS p
WHERE p.pronamespace = 'hydra'::regnamespace AND p.proname !~ '^_'
ORDER BY 1;
-- Our functions that run as their owner: they must not call a function of another schema by mistake.
SELECT p.oid::regprocedure AS "definer without a search_path"
FROM pg_proc AS p
WHERE p.pronamespace = 'hydra'::regnamespace AND p.prosecdef AND NOT coalesce(p.proconfig::text ~ 'search_path=pg_catalog', false);
SELECT c.relname AS relation, a.attname AS "column", format_type(a.atttypid, a.atttypmod) AS type,
       CASE WHEN a.attnotnull THEN 'not null' END AS "null", col_description(c.oid, a.attnum) AS comment
FROM pg_class AS c
JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.relnamespace = 'hydra'::regnamespace AND c.relkind IN ('r', 'v', 'p')
ORDER BY c.relkind, c.relname, a.attnum;
SELECT c.conrelid::regclass AS "table", c.conname, pg_get_constraintdef(c.oid) AS definition
FROM pg_constraint AS c
WHERE c.connamespace = 'hydra'::regnamespace
      -- From PostgreSQL 18 on, NOT NULL is a constraint; it is shown with the columns.
      AND c.contype <> 'n'
ORDER BY c.conname, c.conrelid::regclass::text;
SELECT indexdef FROM pg_indexes WHERE schemaname = 'hydra' ORDER BY indexname;
-- Objects without a comment.
SELECT 'function' AS kind, p.oid::regprocedure::text AS object
FROM pg_proc AS p
WHERE p.pronamespace = 'hydra'::regnamespace AND obj_description(p.oid, 'pg_proc') IS NULL
UNION ALL
SELECT 'relation', c.oid::regclass::text
FROM pg_class AS c
WHERE c.relnamespace = 'hydra'::regnamespace AND c.relkind IN ('r', 'v', 'p') AND obj_description(c.oid, 'pg_class') IS NULL
UNION ALL
SELECT 'column', c.oid::regclass || '.' || a.attname
FROM pg_class AS c
JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.relnamespace = 'hydra'::regnamespace AND c.relkind IN ('r', 'v', 'p') AND col_description(c.oid, a.attnum) IS NULL
ORDER BY 1, 2;
SELECT name, unit, context, vartype, boot_val, min_val, max_val, enumvals, short_desc
FROM pg_settings WHERE name ^@ 'hydra_webhooks.' ORDER BY name;
SELECT * FROM hydra.webhook_event_types ORDER BY origin, name;
SELECT * FROM hydra.preset ORDER BY name;
SELECT extname, extrelocatable, extconfig::regclass[] FROM pg_extension WHERE extname = 'hydra_webhooks';
