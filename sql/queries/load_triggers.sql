-- Returns which triggers announce changes of event types and subscriptions, and when each was last changed: pg_restore can
-- disable them while it writes, and enables them again. The query is parsed with the search_path of the session that emits,
-- so every name and operator is qualified.
SELECT coalesce(pg_catalog.string_agg(pg_catalog.concat_ws(' ', t.oid, t.xmin), ',' ORDER BY t.oid), '') AS triggers
FROM pg_catalog.pg_trigger AS t
WHERE t.tgrelid OPERATOR(pg_catalog.=) ANY (
    ARRAY['hydra.subscription'::pg_catalog.regclass, 'hydra.event_type'::pg_catalog.regclass]::pg_catalog.oid[])
