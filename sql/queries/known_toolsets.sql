-- Returns the toolsets with tools that a key with the scopes $1 and the tenant $2 can call.
SELECT 'automation' AS toolset
UNION
SELECT t.toolset FROM hydra.tool AS t WHERE t.scope = ANY ($1)
UNION
SELECT r.toolset
FROM hydra.api_resource AS r
WHERE (r.name || ':read' = ANY ($1) OR r.name || ':write' = ANY ($1)) AND ($2 IS NULL OR r.tenant_column IS NOT NULL)
ORDER BY 1
