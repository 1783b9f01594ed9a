-- Event types that can be emitted; those of our own are not for callers. Parsed with the search_path of whoever emits, so every
-- name and operator is qualified.
SELECT t.name, t.entity_type, t.id_key FROM hydra.event_type AS t WHERE t.origin OPERATOR(pg_catalog.<>) 'extension'
