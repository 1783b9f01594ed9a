-- Returns the approval $1 of the API key $2 as JSON text.
SELECT pg_catalog.json_build_object(
           'approval_id', a.id, 'tool', a.tool, 'state', a.state, 'created_at', a.created_at, 'expires_at', a.expires_at,
           'decided_at', a.decided_at, 'result', a.result, 'error', a.error)::text
FROM hydra.approvals AS a
WHERE a.id = $1 AND a.key_id = $2
