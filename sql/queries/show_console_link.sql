-- Returns for whom the link with the hash $1 is, unless it has ended or its role may not be used any more.
SELECT pg_catalog.jsonb_build_object('role', l.role, 'tenant_id', l.tenant_id, 'valid_until', l.valid_until)
FROM hydra.login_link AS l
WHERE l.hash = $1 AND l.valid_until > pg_catalog.now() AND hydra._role_refusal(l.role) IS NULL
