-- Emits webhook.subscription_failing for those subscriptions of $1 that are active and still fail, to the other
-- subscriptions that want it. Without the path and query of its URL and the address of its host, which may be secret.
INSERT INTO hydra.event (event_type, entity_type, entity_id, tenant_id, entity, targets)
SELECT 'webhook.subscription_failing', 'webhook', s.id::text, s.tenant_id, notice.entity::text, wanted.targets
FROM hydra.effective_subscription AS s
JOIN hydra.subscription_health AS h ON h.subscription_id = s.id
LEFT JOIN LATERAL (
    SELECT a.status_code, a.error_class, a.error
    FROM hydra.attempt AS a
    WHERE a.subscription_id = s.id AND a.error IS NOT NULL
    ORDER BY a.id DESC LIMIT 1) AS latest ON true
CROSS JOIN LATERAL (
    SELECT pg_catalog.jsonb_build_object(
        'subscription_id', s.id, 'name', s.name, 'url', hydra._shown_url(s.url),
        'consecutive_failures', h.consecutive_failures, 'since', h.failing_since, 'disable_after', s.disable_after,
        'disable_after_time', s.disable_after_time, 'stale_after', s.stale_after, 'status_code', latest.status_code,
        'error_class', latest.error_class, 'error', hydra._shown_error(latest.error)
    ) AS entity) AS notice
CROSS JOIN LATERAL (
    SELECT hydra._wanted_by('webhook.subscription_failing', s.tenant_id, notice.entity, s.id) AS targets) AS wanted
WHERE s.id = ANY ($1) AND s.status = 'active' AND h.consecutive_failures > 0 AND wanted.targets IS NOT NULL
