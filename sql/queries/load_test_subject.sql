-- What a test request needs, whatever the subscription's status; the time of the test is its event's.
SELECT s.url, s.signatures, (extract(epoch FROM coalesce(s.timeout, p.timeout)) * 1000)::bigint AS timeout, s.preset,
       s.tenant_id,
       ARRAY(SELECT k.secret FROM hydra.signing_secret AS k
             WHERE k.subscription_id = s.id AND (k.valid_until IS NULL OR k.valid_until > pg_catalog.now())
             ORDER BY k.id DESC) AS secrets,
       pg_catalog.to_char(pg_catalog.clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS timestamp
FROM hydra.subscription AS s
JOIN hydra.preset AS p ON p.name = s.preset
WHERE s.id = $1
