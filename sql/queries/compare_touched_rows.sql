-- Returns the tables whose counts differ between $1 and $2, results of count_touched_rows.sql, with the differences.
SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
           'table', pg_catalog.format('%I.%I', n.nspname, c.relname),
           'inserted', d.inserted, 'updated', d.updated, 'deleted', d.deleted) ORDER BY n.nspname, c.relname), '[]')
FROM (SELECT later.key::oid AS relid,
             (later.value ->> 0)::bigint - coalesce(($1 -> later.key ->> 0)::bigint, 0) AS inserted,
             (later.value ->> 1)::bigint - coalesce(($1 -> later.key ->> 1)::bigint, 0) AS updated,
             (later.value ->> 2)::bigint - coalesce(($1 -> later.key ->> 2)::bigint, 0) AS deleted
      FROM pg_catalog.jsonb_each($2) AS later) AS d
JOIN pg_catalog.pg_class AS c ON c.oid = d.relid
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE d.inserted + d.updated + d.deleted > 0
