-- Returns the event types that callers can emit: all except those of the extension itself. The query is parsed with the
-- search_path of the session that emits, so every name and operator is qualified.
SELECT t.name AS event_type, t.entity_type, t.id_key
FROM hydra.event_type AS t
WHERE t.origin OPERATOR(pg_catalog.<>) 'extension'
