-- Returns the visitor whose session has the hash $1, unless it has ended.
SELECT s.tenant_id, s.role::oid AS role_id, pg_catalog.pg_get_userbyid(s.role)::text AS role_name,
       pg_catalog.to_char(s.expires_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS expires_at
FROM hydra.console_session AS s
WHERE s.hash = $1 AND s.expires_at > pg_catalog.now()
