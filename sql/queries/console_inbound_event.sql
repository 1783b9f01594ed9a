-- Returns the event $2 of adapter $1, with at most 100,000 characters of what was sent.
SELECT pg_catalog.to_jsonb(e)
FROM (SELECT v.id, v.adapter_id, v.external_id, v.external_type, v.event_type, v.entity_type, v.entity_id, v.tenant_id, v.state,
             v.reason, v.error, v.sqlstate, v.attempts, v.due_at, v.duplicates, v.hops, v.received_at, v.finished_at,
             pg_catalog.left(v.payload::text, 100000) || CASE WHEN pg_catalog.length(v.payload::text) > 100000 THEN '…' ELSE '' END
             AS payload
      FROM hydra.inbound_events AS v
      WHERE v.adapter_id = $1 AND v.id = $2) AS e
