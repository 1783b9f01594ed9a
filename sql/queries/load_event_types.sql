-- Event types that can be emitted; callers cannot emit those of the extension. Parsed with the search_path of the session
-- that emits, so every name and operator is qualified.
SELECT t.name, t.entity_type, t.id_key FROM hydra.event_type AS t WHERE t.origin OPERATOR(pg_catalog.<>) 'extension'
