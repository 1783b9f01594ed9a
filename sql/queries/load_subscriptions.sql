-- Returns every subscription, with its effective settings and its secrets in use, the newest first; a condition that chooses
-- some of them may be added. Durations are in milliseconds. If signatures is empty, each delivery is signed in the way of the preset that its body was made for.
SELECT s.id AS subscription_id,
       s.status = 'active' AS active,
       s.status_since,
       s.drops_missed,
       s.cancelled_at,
       s.preset,
       s.url,
       coalesce(s.own_signatures, '{}') AS signatures,
       (extract(epoch FROM s.timeout) * 1000)::bigint AS timeout_ms,
       ARRAY(SELECT (extract(epoch FROM entry.delay) * 1000)::bigint
             FROM pg_catalog.unnest(s.retry_schedule) WITH ORDINALITY AS entry (delay, place)
             ORDER BY entry.place) AS retry_schedule_ms,
       s.max_in_flight,
       s.disable_after,
       (extract(epoch FROM s.disable_after_time) * 1000)::bigint AS disable_after_ms,
       s.log_successes,
       (extract(epoch FROM s.keep_bodies) * 1000)::bigint AS keep_bodies_ms,
       coalesce(h.consecutive_failures, 0) AS consecutive_failures,
       coalesce(secret.in_use, '{}') AS secrets,
       secret.first_end AS secrets_change_at,
       s.headers::text AS headers,
       (extract(epoch FROM s.stale_after) * 1000)::bigint AS stale_after_ms,
       s.rate_limit,
       h.failing_since,
       coalesce((extract(epoch FROM h.failing_for) * 1000)::bigint, 0) AS failing_for_ms
FROM hydra.effective_subscription AS s
LEFT JOIN hydra.subscription_health AS h ON h.subscription_id = s.id
CROSS JOIN LATERAL (
    SELECT pg_catalog.array_agg(k.secret ORDER BY k.id DESC) AS in_use, pg_catalog.min(k.valid_until) AS first_end
    FROM hydra.signing_secret AS k
    WHERE k.subscription_id = s.id AND (k.valid_until IS NULL OR k.valid_until > pg_catalog.now())) AS secret
