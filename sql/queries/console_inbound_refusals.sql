-- Returns the refused requests of adapter $1 that are kept, the newest first; of each body 4 kB, in hexadecimal.
SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.to_jsonb(r) ORDER BY r.id DESC), '[]')
FROM (SELECT v.id, v.refused_at, v.stage, v.reason, v.method, v.query, v.headers, v.size, pg_catalog.host(v.peer) AS peer,
             pg_catalog.encode(pg_catalog.substr(v.body, 1, 4096), 'hex') AS body
      FROM hydra.inbound_refusals AS v
      WHERE v.adapter_id = $1) AS r
