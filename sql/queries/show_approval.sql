-- Returns the approval $1 if it is of the tenant $2, or $2 is null. What can be any JSON is text, so that numbers keep their digits.
SELECT pg_catalog.jsonb_build_object(
           'id', a.id, 'key_id', a.key_id, 'key_name', a.key_name, 'tenant_id', a.tenant_id, 'tool', a.tool,
           'arguments', a.arguments::text,
           'preview', pg_catalog.jsonb_build_object(
               'before', (a.preview -> 'before')::text, 'result', (a.preview -> 'result')::text,
               'tables', a.preview -> 'tables', 'webhooks', a.preview -> 'webhooks',
               'webhook_count', a.preview -> 'webhook_count', 'notices', a.preview -> 'notices', 'note', a.preview -> 'note',
               'varying', stored.varying),
           'previews', a.previews, 'mode', a.mode, 'state', a.state, 'created_at', a.created_at, 'expires_at', a.expires_at,
           'decided_at', a.decided_at, 'decided_by', a.decided_by, 'result', a.result::text, 'error', a.error)
FROM hydra.approvals AS a
JOIN hydra.approval AS stored ON stored.id = a.id
WHERE a.id = $1 AND ($2 IS NULL OR a.tenant_id = $2)
