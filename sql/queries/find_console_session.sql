-- Returns the visitor whose session has the hash $1, unless it has ended or its role may not be used any more.
SELECT s.tenant_id, s.role::oid AS role_id, pg_catalog.pg_get_userbyid(s.role)::text AS role_name,
       pg_catalog.to_char(s.expires_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS expires_at
FROM hydra.console_session AS s
WHERE s.hash = $1 AND s.expires_at > pg_catalog.now() AND EXISTS (SELECT FROM pg_catalog.pg_authid AS a WHERE a.oid = s.role)
      AND NOT EXISTS (SELECT FROM hydra.powerful_role AS p WHERE pg_catalog.pg_has_role(s.role::oid, p.role_id, 'MEMBER'))
