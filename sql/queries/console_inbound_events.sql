-- Returns the latest 50 events of adapter $1, the newest first, without what was sent.
SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.to_jsonb(e) ORDER BY e.id DESC), '[]')
FROM (SELECT v.id, v.adapter_id, v.external_id, v.external_type, v.event_type, v.entity_type, v.entity_id, v.tenant_id, v.state,
             v.reason, v.error, v.sqlstate, v.attempts, v.due_at, v.duplicates, v.hops, v.received_at, v.finished_at
      FROM hydra.inbound_events AS v
      WHERE v.adapter_id = $1
      ORDER BY v.id DESC LIMIT 50) AS e
