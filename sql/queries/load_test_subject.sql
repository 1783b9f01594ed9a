-- Returns what a test request to subscription $1 needs, whatever the status of the subscription: its secrets in use,
-- the newest first, and its settings in the form of load_subscriptions.sql.
SELECT s.url,
       coalesce(s.own_signatures, '{}') AS signatures,
       (extract(epoch FROM s.timeout) * 1000)::bigint AS timeout_ms,
       s.preset,
       s.tenant_id,
       ARRAY(SELECT k.secret FROM hydra.signing_secret AS k
             WHERE k.subscription_id = s.id AND (k.valid_until IS NULL OR k.valid_until > pg_catalog.now())
             ORDER BY k.id DESC) AS secrets,
       s.headers::text AS headers
FROM hydra.effective_subscription AS s
WHERE s.id = $1
