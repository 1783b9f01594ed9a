-- Uses up the link with the hash $1 and begins a session with the hash $2, and returns when that ends. Returns nothing if
-- the link was used, has ended, or its role may not be used any more. Forgets sessions that have ended.
WITH ended AS (
    DELETE FROM hydra.console_session AS s WHERE s.expires_at < pg_catalog.now()
), link AS (
    DELETE FROM hydra.login_link AS l
    WHERE l.hash = $1 AND l.valid_until > pg_catalog.now() AND hydra._role_refusal(l.role) IS NULL
    RETURNING l.role, l.tenant_id
), session AS (
    INSERT INTO hydra.console_session (hash, role, tenant_id, expires_at)
    SELECT $2, link.role, link.tenant_id, pg_catalog.now() + interval '12 h' FROM link
    RETURNING expires_at
)
SELECT pg_catalog.to_char(session.expires_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') FROM session
