-- Returns inbound adapters with a URL of each, and its secrets that are valid, the newest first. The statements that run it
-- add which.
SELECT a.id AS adapter_id,
       a.name,
       a.tenant_id,
       a.provider,
       a.scheme,
       a.mapping,
       a.each::text AS each,
       a.id_path::text AS id_path,
       a.type_path::text AS type_path,
       a.response,
       a.state = 'paused' AS paused,
       (extract(epoch FROM a.budget) * 1000)::bigint AS budget_ms,
       a.requests_per_second,
       p.token,
       ARRAY(SELECT s.secret
             FROM hydra.inbound_secret AS s
             WHERE s.adapter_id = a.id AND (s.valid_until IS NULL OR s.valid_until > pg_catalog.now())
             ORDER BY s.id DESC) AS secrets
FROM hydra.inbound_adapter AS a
JOIN hydra.inbound_path AS p ON p.adapter_id = a.id
