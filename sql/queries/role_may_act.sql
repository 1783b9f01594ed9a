-- Returns whether requests may act as the role $1: it exists, and is neither a role that has privileges that no request may have nor
-- a member of one.
SELECT EXISTS (SELECT FROM pg_catalog.pg_authid AS a WHERE a.oid = $1)
       AND NOT EXISTS (SELECT FROM hydra.powerful_role AS p WHERE pg_catalog.pg_has_role($1, p.role_id, 'MEMBER'))
