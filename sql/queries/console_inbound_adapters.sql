-- Returns the inbound adapters of tenant $1, or of all if it is null; only the one with the id $2 if that is not null.
SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.to_jsonb(a) ORDER BY a.id), '[]')
FROM (SELECT v.id, v.name, v.provider, v.tenant_id, v.prefix, v.state, v.mapping, v.received, v.matched, v.unmatched, v.failed,
             v.duplicates, v.refused, v.last_received_at, v.last_refused_at, v.last_refusal, v.budget, v.requests_per_second,
             v.created_at, v.created_by, NULL::jsonb AS hours
      FROM hydra.inbound_adapters AS v
      WHERE ($1 IS NULL OR v.tenant_id = $1) AND ($2 IS NULL OR v.id = $2)) AS a
