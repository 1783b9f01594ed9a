-- Changes a subscription as the arguments $1 say. A filter that is the text of the present one is no change: some versions of Postgres
-- print a path without its parentheses, so that it would be another one.
SELECT hydra.webhook_update(
           a.id, a.url, a.event_types, a.name, a.tenant_id, a.preset, a.signatures, a.headers, a.timeout, a.retry_schedule,
           nullif(a.filter, s.filter::text)::jsonpath, a.max_in_flight, a.rate_limit, a.disable_after, a.log_successes, a.disable_after_time, a.reset,
           keep_bodies => a.keep_bodies)
FROM pg_catalog.jsonb_to_record($1) AS a (
         id bigint, url text, event_types text[], name text, tenant_id text, preset text, signatures text[], headers jsonb,
         timeout interval, retry_schedule interval[], filter text, max_in_flight integer, rate_limit integer,
         disable_after integer, log_successes boolean, disable_after_time interval, keep_bodies interval, reset text[])
LEFT JOIN hydra.webhook_subscriptions AS s ON s.id = a.id
