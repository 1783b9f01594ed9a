-- Records when API keys were last used, from the report $1 of a gateway. A key that is used all the time is written once
-- in a minute. The keys are locked in one order, because gateways report at the same time.
WITH used AS (
    SELECT k.id, least(max((u.value ->> 'last_at')::timestamptz), pg_catalog.now()) AS last_at
    FROM pg_catalog.jsonb_array_elements($1) AS u
    JOIN hydra.api_key AS k ON k.id = (u.value ->> 'key')::bigint
    GROUP BY k.id
), locked AS (
    SELECT k.id, used.last_at
    FROM hydra.api_key AS k
    JOIN used ON used.id = k.id
    WHERE k.last_used_at IS NULL OR used.last_at >= pg_catalog.date_trunc('minute', k.last_used_at) + interval '1 min'
    ORDER BY k.id
    FOR NO KEY UPDATE OF k
)
UPDATE hydra.api_key AS k SET last_used_at = locked.last_at FROM locked WHERE k.id = locked.id
