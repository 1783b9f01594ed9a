-- Returns the statistics of the last 24 hours of the subscriptions $1: an object with a key for each of them.
SELECT coalesce(pg_catalog.jsonb_object_agg(i.id::text, pg_catalog.jsonb_build_object(
    'hours', (SELECT pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
                         'hour', h.hour, 'delivered', coalesce(c.delivered, 0),
                         'failed_attempts', coalesce(c.failed_attempts, 0), 'failed', coalesce(c.failed, 0)) ORDER BY h.hour)
              FROM pg_catalog.generate_series(now.hour - interval '23 h', now.hour, interval '1 h') AS h (hour)
              LEFT JOIN hydra.delivery_count AS c ON c.subscription_id = i.id AND c.hour = h.hour),
    'success_rate', (SELECT pg_catalog.round(pg_catalog.sum(c.delivered)
                                             / nullif(pg_catalog.sum(c.delivered + c.failed_attempts), 0), 4)
                     FROM hydra.delivery_count AS c WHERE c.subscription_id = i.id AND c.hour >= now.hour - interval '23 h'),
    'p50_ms', hydra.webhook_percentile(times.response_times, 0.50),
    'p95_ms', hydra.webhook_percentile(times.response_times, 0.95))), '{}')
FROM pg_catalog.unnest($1) AS i (id)
CROSS JOIN (SELECT pg_catalog.date_trunc('hour', pg_catalog.now(), 'UTC') AS hour) AS now
CROSS JOIN LATERAL (
    SELECT hydra.webhook_merge(c.response_times) AS response_times
    FROM hydra.delivery_count AS c
    WHERE c.subscription_id = i.id AND c.hour >= now.hour - interval '23 h') AS times
