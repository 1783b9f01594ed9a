-- Returns the flow $1 if it is in testing, as find_flows.sql does.
SELECT f.id AS flow_id, f.name, f.state, f.filter, true AS is_for_tenant,
       (extract(epoch FROM f.timeout) * 1000)::bigint AS timeout_ms, f.owner::oid AS owner, c.call,
       CASE WHEN c.call IS NULL THEN pg_catalog.format('function %s does not exist', f.function)
            WHEN c.owner <> f.owner THEN pg_catalog.format('function %s belongs to another role than before', f.function)
            WHEN EXISTS (SELECT FROM hydra.powerful_role AS p WHERE pg_catalog.pg_has_role(f.owner::oid, p.role_id, 'MEMBER'))
            THEN hydra._role_refusal(f.owner) END AS refusal
FROM hydra.flow AS f
LEFT JOIN hydra.function_of_json AS c ON c.function_id = pg_catalog.to_regprocedure(f.function)
WHERE f.id = $1 AND f.state = 'testing'
