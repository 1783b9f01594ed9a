-- Emits webhook.delivery_failed for those deliveries of $1 that have failed, to the other subscriptions that want it.
-- Deliveries of webhook.* events are left out: otherwise such events would report each other without end. If no
-- subscription has the event type, no delivery is read. The address of a host may be secret.
INSERT INTO hydra.event (event_type, entity_type, entity_id, tenant_id, entity, targets)
SELECT 'webhook.delivery_failed', 'webhook', d.id::text, d.tenant_id, notice.entity::text, wanted.targets
FROM hydra.delivery AS d
LEFT JOIN LATERAL (
    SELECT a.status_code, a.error_class, a.error
    FROM hydra.attempt AS a
    WHERE a.delivery_id = d.id
    ORDER BY a.attempt DESC, a.id DESC LIMIT 1) AS latest ON true
CROSS JOIN LATERAL (
    SELECT pg_catalog.jsonb_build_object(
        'delivery_id', d.id, 'subscription_id', d.subscription_id, 'event', d.event_type, 'event_id', d.event_id,
        'attempts', d.attempts, 'failed_at', d.failed_at, 'status_code', latest.status_code,
        'error_class', latest.error_class, 'error', hydra._shown_error(latest.error)
    ) AS entity) AS notice
CROSS JOIN LATERAL (
    SELECT hydra._wanted_by('webhook.delivery_failed', d.tenant_id, notice.entity, d.subscription_id) AS targets) AS wanted
WHERE d.id = ANY ($1) AND d.state = 'failed' AND NOT d.event_type ^@ 'webhook.' AND wanted.targets IS NOT NULL
  AND EXISTS (SELECT FROM hydra.subscription AS s, pg_catalog.unnest(s.event_types) AS entry
              WHERE (s.status <> 'paused' OR s.keeps_events) AND hydra._names_event_type(entry, 'webhook.delivery_failed'))
