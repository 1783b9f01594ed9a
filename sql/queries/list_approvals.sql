-- Returns approvals of the tenant $1, or all if it is null: at most 500, those that wait first, the newest first. Of the arguments
-- only the beginning.
SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
           'id', a.id, 'key_id', a.key_id, 'key_name', a.key_name, 'tenant_id', a.tenant_id, 'tool', a.tool,
           'arguments', pg_catalog.left(a.arguments::text, 300), 'mode', a.mode, 'state', a.state, 'created_at', a.created_at,
           'expires_at', a.expires_at, 'decided_at', a.decided_at, 'decided_by', a.decided_by)
           ORDER BY a.state <> 'pending', a.id DESC), '[]')
FROM (SELECT * FROM hydra.approvals AS known
      WHERE $1 IS NULL OR known.tenant_id = $1
      ORDER BY known.state <> 'pending', known.id DESC
      LIMIT 500) AS a
