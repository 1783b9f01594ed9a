-- Returns the latest 50 runs of flow $1 or, if that is null, of event $2, the newest first; of tenant $3 only, if it is not null.
SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.to_jsonb(r) ORDER BY r.id DESC), '[]')
FROM (SELECT v.id, v.flow_id, v.flow, v.inbound_event_id, a.id AS adapter_id, v.mode, v.state, v.started_at,
             extract(epoch FROM v.duration) * 1000 AS duration_ms, v.result, v.effects, v.error, v.sqlstate
      FROM hydra.flow_runs AS v
      LEFT JOIN hydra.flows AS f ON f.id = v.flow_id
      LEFT JOIN hydra.inbound_events AS e ON e.id = v.inbound_event_id
      LEFT JOIN hydra.inbound_adapters AS a ON a.id = e.adapter_id AND ($3 IS NULL OR a.tenant_id = $3)
      WHERE (v.flow_id = $1 OR $1 IS NULL AND v.inbound_event_id = $2) AND ($3 IS NULL OR f.tenant_id = $3)
      ORDER BY v.id DESC LIMIT 50) AS r
