-- Returns the flows of tenant $1, or of all if it is null; only the one with the id $2 if that is not null.
SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.to_jsonb(f) ORDER BY f.id), '[]')
FROM (SELECT v.id, v.name, v.event, v.function, v.owner, v.filter::text AS filter, v.state, v.timeout, v.tenant_id, v.runs,
             v.failures, v.last_run_at, v.last_error, v.created_at, v.created_by
      FROM hydra.flows AS v
      WHERE ($1 IS NULL OR v.tenant_id = $1) AND ($2 IS NULL OR v.id = $2)) AS f
