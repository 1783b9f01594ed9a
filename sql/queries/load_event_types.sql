-- Returns the event types that callers can emit: all but those of the extension itself. Parsed with the search_path of the
-- session that emits, so every name and operator is qualified.
SELECT t.name AS event_type, t.entity_type, t.id_key
FROM hydra.event_type AS t
WHERE t.origin OPERATOR(pg_catalog.<>) 'extension'
