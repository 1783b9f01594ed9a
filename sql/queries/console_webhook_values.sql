-- Returns the settings of subscription $1 as a form shows them: those of its own, without the defaults of the preset.
SELECT pg_catalog.jsonb_build_object('version', s.xmin::text, 'values', pg_catalog.jsonb_build_object(
    'name', coalesce(s.name, ''), 'url', s.url, 'event_types', s.event_types, 'tenant_id', coalesce(s.tenant_id, ''),
    'preset', s.preset, 'signatures', coalesce(s.signatures, '{}'), 'headers', '', 'timeout', coalesce(s.timeout::text, ''),
    'retry_schedule', CASE WHEN s.retry_schedule = '{}' THEN 'none' ELSE coalesce(pg_catalog.array_to_string(s.retry_schedule, ', '), '') END,
    'filter', coalesce(s.filter::text, ''), 'max_in_flight', coalesce(s.max_in_flight::text, ''),
    'rate_limit', coalesce(s.rate_limit::text, ''), 'disable_after', coalesce(s.disable_after::text, ''),
    'disable_after_time', coalesce(s.disable_after_time::text, ''), 'keep_bodies', coalesce(s.keep_bodies::text, ''), 'log_successes', s.log_successes))
FROM hydra.subscription AS s
WHERE s.id = $1
