-- Keeps a request that was refused.
INSERT INTO hydra.inbound_refused (adapter_id, stage, reason, method, query, headers, body, size, peer)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
