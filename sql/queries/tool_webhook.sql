-- Locks the webhook $1 if it is of tenant $2, or if that is null, and returns what identifies it, and its status, as JSON text; if $3, also how
-- many events it has missed.
SELECT (pg_catalog.jsonb_build_object('id', s.id, 'name', s.name, 'url', hydra._shown_url(s.url), 'status', s.status,
                                      'keeps_events', s.keeps_events)
        || CASE WHEN $3 THEN pg_catalog.jsonb_build_object('missed', hydra._missed(s)) ELSE '{}' END)::text
FROM hydra.subscription AS s
WHERE s.id = $1 AND ($2 IS NULL OR s.tenant_id = $2)
FOR NO KEY UPDATE OF s
