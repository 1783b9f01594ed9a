-- Returns the webhooks of tenant $1, or of all if it is null; only the one with the id $2 if that is not null.
SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.to_jsonb(w) ORDER BY w.id), '[]')
FROM (SELECT s.id, s.name, s.url, s.status, s.disabled_reason, s.status_since, s.event_types, s.tenant_id, s.preset,
             s.created_at, s.secret_prefix, s.old_secret_prefixes, s.overlap_until, s.consecutive_failures, s.failing_since, s.waiting_for, s.delivered, s.pending,
             s.missed, s.keeps_events, s.failed, s.last_error, s.last_error_at, NULL::double precision AS success_rate,
             NULL::double precision AS p50_ms, NULL::double precision AS p95_ms, NULL::jsonb AS hours
      FROM hydra.webhook_subscriptions AS s
      WHERE ($1 IS NULL OR s.tenant_id = $1) AND ($2 IS NULL OR s.id = $2)) AS w
