-- Returns flows as JSON: of tenant $1 or of all, only that with the id $2, after the id $3, in state $4, at most $6. $5 and $7 have no
-- meaning.
SELECT f.id::text AS key, pg_catalog.row_to_json(f)::text AS row
FROM (SELECT v.id, v.name, v.event, v.function::text, v.filter::text, v.state,
             extract(epoch FROM v.timeout)::double precision AS timeout, v.tenant_id, v.runs, v.failures, v.last_run_at,
             v.last_error, v.created_at
      FROM hydra.flows AS v
      WHERE ($1 IS NULL OR v.tenant_id = $1) AND ($2 IS NULL OR v.id = $2::text::bigint)
            AND ($3 IS NULL OR v.id > $3::text::bigint) AND ($4 IS NULL OR v.state = $4)
            AND ($5::text IS NULL OR true) AND ($7 OR true)
      ORDER BY v.id LIMIT $6) AS f
ORDER BY f.id
