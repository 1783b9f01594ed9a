-- Returns the settings of subscription $1.
SELECT pg_catalog.jsonb_build_object(
    'signatures', s.signatures, 'header_names', s.header_names, 'timeout', s.timeout,
    'timeout_ms', (extract(epoch FROM s.timeout) * 1000)::bigint, 'retry_schedule', s.retry_schedule,
    'filter', s.filter::text, 'max_in_flight', s.max_in_flight, 'rate_limit', s.rate_limit,
    'disable_after', s.disable_after, 'disable_after_time', s.disable_after_time, 'stale_after', s.stale_after, 'log_successes', s.log_successes,
    'keep_bodies', s.keep_bodies)
FROM hydra.webhook_subscriptions AS s
WHERE s.id = $1
