-- Emits webhook.subscription_disabled for those subscriptions of $1 that are disabled, to the other subscriptions that
-- want it. Without the path and query of its URL, which may be secret.
INSERT INTO hydra.event (event_type, entity_type, entity_id, tenant_id, entity, targets)
SELECT 'webhook.subscription_disabled', 'webhook', d.id::text, d.tenant_id, notice.entity::text, wanted.targets
FROM hydra.subscription AS d
CROSS JOIN LATERAL (
    SELECT pg_catalog.jsonb_build_object(
        'subscription_id', d.id, 'name', d.name, 'url', hydra._shown_url(d.url), 'reason', d.disabled_reason, 'since', d.status_since
    ) AS entity) AS notice
CROSS JOIN LATERAL (
    SELECT hydra._wanted_by('webhook.subscription_disabled', d.tenant_id, notice.entity, d.id) AS targets) AS wanted
WHERE d.id = ANY ($1) AND d.status = 'disabled' AND wanted.targets IS NOT NULL
