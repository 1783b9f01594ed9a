-- Returns webhooks as JSON: of tenant $1 or of all, only that with the id $2, after the id $3, with status $4, at most $6. $5 has no
-- meaning. Unless $7, URLs and errors are shown without what may be secret.
SELECT w.id::text AS key, pg_catalog.row_to_json(w)::text AS row
FROM (SELECT s.id, s.name, CASE WHEN $7 THEN s.url ELSE hydra._shown_url(s.url) END AS url, s.status, s.disabled_reason,
             s.keeps_events, s.status_since, s.event_types, s.tenant_id, s.preset, s.signatures, s.header_names,
             extract(epoch FROM s.timeout)::double precision AS timeout,
             ARRAY(SELECT extract(epoch FROM delay)::double precision
                   FROM pg_catalog.unnest(s.retry_schedule) WITH ORDINALITY AS step (delay, n) ORDER BY n) AS retry_schedule,
             s.filter::text, s.max_in_flight, s.rate_limit, s.disable_after,
             extract(epoch FROM s.disable_after_time)::double precision AS disable_after_time,
             extract(epoch FROM s.stale_after)::double precision AS stale_after, s.log_successes,
             extract(epoch FROM s.keep_bodies)::double precision AS keep_bodies, s.created_at, s.secret_prefix,
             s.consecutive_failures, s.failing_since, s.delivered, s.pending, s.failed, s.missed,
             CASE WHEN $7 THEN s.last_error ELSE hydra._shown_error(s.last_error) END AS last_error, s.last_error_at,
             CASE WHEN $7 THEN s.waiting_for ELSE hydra._shown_error(s.waiting_for) END AS waiting_for
      FROM hydra.webhook_subscriptions AS s
      WHERE ($1 IS NULL OR s.tenant_id = $1) AND ($2 IS NULL OR s.id = $2::text::bigint)
            AND ($3 IS NULL OR s.id > $3::text::bigint) AND ($4 IS NULL OR s.status = $4)
            AND ($5::text IS NULL OR true)
      ORDER BY s.id LIMIT $6) AS w
ORDER BY w.id
