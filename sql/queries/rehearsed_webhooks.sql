-- Returns the events that this transaction has emitted, other than those with the ids $1, with each subscription that wants
-- them: at most 100, and how many there are.
SELECT e.id AS event_id, e.event_type, e.entity_type, e.entity_id, e.tenant_id, e.entity, e.entity_error, e.previous, e.emitted_at,
       s.id AS subscription_id, s.name, hydra._shown_url(s.url) AS url, s.preset,
       pg_catalog.count(*) OVER () AS webhook_count
FROM hydra.event AS e
CROSS JOIN LATERAL pg_catalog.unnest(e.targets) AS target (subscription_id)
JOIN hydra.subscription AS s ON s.id = target.subscription_id
WHERE e.xid = pg_catalog.pg_current_xact_id_if_assigned() AND e.id <> ALL ($1)
ORDER BY e.id, s.id
LIMIT 100
