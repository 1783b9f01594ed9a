-- What a test request needs, whatever the subscription's status.
SELECT s.url, coalesce(s.signatures, '{}') AS signatures, (extract(epoch FROM coalesce(s.timeout, p.timeout)) * 1000)::bigint AS timeout, s.preset,
       s.tenant_id,
       ARRAY(SELECT k.secret FROM hydra.signing_secret AS k
             WHERE k.subscription_id = s.id AND (k.valid_until IS NULL OR k.valid_until > pg_catalog.now())
             ORDER BY k.id DESC) AS secrets,
       s.headers::text AS headers
FROM hydra.subscription AS s
JOIN hydra.preset AS p ON p.name = s.preset
WHERE s.id = $1
