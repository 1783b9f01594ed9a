-- Returns the API key whose text has the hash $1, or which is the number $2, unless it has ended.
SELECT k.id AS key_id, k.tenant_id, k.role::oid AS role_id, pg_catalog.pg_get_userbyid(k.role)::text AS role_name, k.scopes,
       k.approval, k.requests_per_minute
FROM hydra.api_key AS k
WHERE k.id = coalesce($2, (SELECT h.key_id FROM hydra.api_key_hash AS h
                           WHERE h.hash = $1 AND (h.valid_until IS NULL OR h.valid_until > pg_catalog.now())))
      AND k.revoked_at IS NULL
      AND (k.expires_at IS NULL OR k.expires_at > pg_catalog.now())
