-- Locks the approval $1, or that whose token has the hash $2, if it is of the tenant $3, or $3 is null.
SELECT a.id, a.key_id, a.tool, a.arguments::text AS arguments, a.preview::text AS preview, a.digest, a.varying::text AS varying, a.mode,
       CASE WHEN a.state = 'pending' AND a.expires_at <= pg_catalog.now() THEN 'expired' ELSE a.state END AS state
FROM hydra.approval AS a
JOIN hydra.api_key AS k ON k.id = a.key_id
WHERE (a.id = $1 OR a.token_hash = $2) AND ($3 IS NULL OR k.tenant_id = $3)
FOR UPDATE OF a
