-- Returns the rows of hydra.identity, the latest first. The query is parsed with the search_path of the session that
-- emits, so it has no operators.
SELECT i.namespace, i.system_identifier, i.database_oid, i.server_version
FROM hydra.identity AS i
ORDER BY i.adopted_at DESC
