-- Changes a subscription as the arguments $1 say.
SELECT hydra.webhook_update(
           a.id, a.url, a.event_types, a.name, a.tenant_id, a.preset, a.signatures, a.headers, a.timeout, a.retry_schedule,
           a.filter::jsonpath, a.max_in_flight, a.rate_limit, a.disable_after, a.log_successes, a.disable_after_time, a.reset,
           keep_bodies => a.keep_bodies)
FROM pg_catalog.jsonb_to_record($1) AS a (
         id bigint, url text, event_types text[], name text, tenant_id text, preset text, signatures text[], headers jsonb,
         timeout interval, retry_schedule interval[], filter text, max_in_flight integer, rate_limit integer,
         disable_after integer, log_successes boolean, disable_after_time interval, keep_bodies interval, reset text[])
