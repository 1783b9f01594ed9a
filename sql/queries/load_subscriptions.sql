-- Every subscription with its effective policy and its live secrets, the newest first. Spans in
-- milliseconds.
SELECT s.id,
       s.status = 'active' AS active,
       s.status_since,
       s.preset,
       s.url,
       coalesce(s.signatures, '{}') AS signatures,
       (extract(epoch FROM coalesce(s.timeout, p.timeout)) * 1000)::bigint AS timeout,
       ARRAY(SELECT (extract(epoch FROM delay) * 1000)::bigint
             FROM pg_catalog.unnest(coalesce(s.retry_schedule, p.retry_schedule)) WITH ORDINALITY AS entry (delay, place)
             ORDER BY place) AS schedule,
       s.max_in_flight,
       coalesce(s.disable_after, p.disable_after) AS disable_after,
       s.log_successes,
       coalesce(h.consecutive_failures, 0) AS consecutive_failures,
       secret.live,
       secret.first_end,
       s.headers::text AS headers,
       (extract(epoch FROM p.stale_after) * 1000)::bigint AS stale_after,
       s.rate_limit,
       h.failing_since
FROM hydra.subscription AS s
JOIN hydra.preset AS p ON p.name = s.preset
LEFT JOIN hydra.subscription_health AS h ON h.subscription_id = s.id
CROSS JOIN LATERAL (
    SELECT pg_catalog.array_agg(k.secret ORDER BY k.id DESC) AS live, pg_catalog.min(k.valid_until) AS first_end
    FROM hydra.signing_secret AS k
    WHERE k.subscription_id = s.id AND (k.valid_until IS NULL OR k.valid_until > pg_catalog.now())) AS secret
WHERE secret.live IS NOT NULL
