-- All privileges: role, object, privilege.
\pset format unaligned
\set SHOW_CONTEXT never
SELECT coalesce(r.rolname, 'PUBLIC') AS role, access.object, string_agg(access.privilege, ', ' ORDER BY access.privilege) AS may
FROM (
    SELECT a.grantee, 'function ' || p.oid::regprocedure AS object, a.privilege_type AS privilege
    FROM pg_proc AS p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) AS a
    WHERE p.pronamespace = 'hydra'::regnamespace AND a.grantee <> p.proowner
    UNION ALL
    SELECT a.grantee, 'relation ' || c.oid::regclass, a.privilege_type
    FROM pg_class AS c, aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) AS a
    WHERE c.relnamespace = 'hydra'::regnamespace AND c.relkind IN ('r', 'v', 'S', 'p') AND a.grantee <> c.relowner
    UNION ALL
    SELECT a.grantee, 'column ' || c.oid::regclass || '.' || col.attname, a.privilege_type
    FROM pg_class AS c JOIN pg_attribute AS col ON col.attrelid = c.oid, aclexplode(col.attacl) AS a
    WHERE c.relnamespace = 'hydra'::regnamespace
    UNION ALL
    SELECT a.grantee, 'schema ' || n.nspname, a.privilege_type
    FROM pg_namespace AS n, aclexplode(n.nspacl) AS a
    WHERE n.nspname = 'hydra' AND a.grantee <> n.nspowner
) AS access
LEFT JOIN pg_roles AS r ON r.oid = access.grantee
GROUP BY 1, 2
ORDER BY 1, 2;
SELECT rolname, rolsuper, rolcanlogin, rolcreaterole, rolcreatedb, rolreplication, rolbypassrls, rolinherit
FROM pg_roles WHERE rolname ^@ 'hydra_' ORDER BY 1;
SELECT roleid::regrole, member::regrole FROM pg_auth_members WHERE roleid::regrole::text ^@ 'hydra_' OR member::regrole::text ^@ 'hydra_';
