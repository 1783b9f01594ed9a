-- Returns a request of an adapter ($2) that was refused.
SELECT r.method, r.query, r.headers, r.body, r.size, r.refused_at
FROM hydra.inbound_refused AS r
WHERE r.id = $1 AND r.adapter_id = $2
