-- Returns inbound events as JSON, the newest first and without what was sent: of tenant $1 or of all, only that with the id $2, before the
-- id $3, of adapter $4, in state $5, at most $6. $7 has no meaning.
SELECT e.id::text AS key, pg_catalog.row_to_json(e)::text AS row
FROM (SELECT v.id, v.adapter_id, v.external_id, v.external_type, v.event_type, v.entity_type, v.entity_id, v.tenant_id, v.state,
             v.reason, v.error, v.sqlstate, v.attempts, v.due_at, v.duplicates, v.hops, v.received_at, v.finished_at
      FROM hydra.inbound_event AS v
      WHERE ($1 IS NULL OR v.tenant_id = $1) AND ($2 IS NULL OR v.id = $2::text::bigint)
            AND ($3 IS NULL OR v.id < $3::text::bigint) AND ($4 IS NULL OR v.adapter_id = $4::text::bigint)
            AND ($5 IS NULL OR v.state = $5) AND ($7 OR true)
      ORDER BY v.id DESC LIMIT $6) AS e
ORDER BY e.id DESC
