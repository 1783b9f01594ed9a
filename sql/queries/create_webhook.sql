-- Creates a subscription from the arguments $1 and returns what is shown of it, once.
SELECT pg_catalog.jsonb_build_object('id', made.id, 'name', $1 -> 'name', 'url', $1 -> 'url', 'secret', made.secret)
FROM pg_catalog.jsonb_to_record($1) AS a (
         url text, event_types text[], name text, tenant_id text, preset text, signatures text[], headers jsonb,
         timeout interval, retry_schedule interval[], filter text, max_in_flight integer, rate_limit integer,
         disable_after integer, log_successes boolean, disable_after_time interval, keep_bodies interval)
CROSS JOIN LATERAL hydra.webhook_create(
         a.url, a.event_types, a.name, a.tenant_id, a.preset, a.signatures, a.headers, a.timeout, a.retry_schedule,
         a.filter::jsonpath, a.max_in_flight, a.rate_limit, a.disable_after, a.log_successes, a.disable_after_time,
         keep_bodies => a.keep_bodies) AS made
