-- Disables the subscriptions $1 for the reasons $2, and emits webhook.subscription_disabled to the other subscriptions
-- that want it, without the path and query of its URL, which may be secret. Only active subscriptions are disabled: a user may have paused one in the meantime.
WITH disabled AS (
    UPDATE hydra.subscription AS s
    SET status = 'disabled', disabled_reason = n.reason, status_since = pg_catalog.now()
    FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2)) AS n (subscription_id, reason)
    WHERE s.id = n.subscription_id AND s.status = 'active'
    RETURNING s.id, s.name, s.url, s.tenant_id, s.disabled_reason, s.status_since
)
INSERT INTO hydra.event (event_type, entity_type, entity_id, tenant_id, entity, targets)
SELECT 'webhook.subscription_disabled', 'webhook', d.id::text, d.tenant_id, notice.entity::text, wanted.targets
FROM disabled AS d
CROSS JOIN LATERAL (
    SELECT pg_catalog.jsonb_build_object(
        'subscription_id', d.id, 'name', d.name, 'url', hydra._shown_url(d.url), 'reason', d.disabled_reason, 'since', d.status_since
    ) AS entity) AS notice
CROSS JOIN LATERAL (
    SELECT hydra._wanted_by('webhook.subscription_disabled', d.tenant_id, notice.entity, d.id) AS targets) AS wanted
WHERE wanted.targets IS NOT NULL
