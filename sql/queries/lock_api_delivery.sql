-- Locks the delivery $1 if it is one of tenant $2, or if that is null, and returns its state.
WITH queued AS (
    SELECT CASE WHEN d.claimed_by IS NOT NULL THEN 'sending' ELSE d.state END AS state
    FROM hydra.delivery AS d
    WHERE d.id = $1
          AND ($2 IS NULL OR EXISTS (SELECT FROM hydra.subscription AS s WHERE s.id = d.subscription_id AND s.tenant_id = $2))
    FOR NO KEY UPDATE OF d
), kept AS (
    SELECT 'delivered' AS state
    FROM hydra.delivered AS k
    WHERE k.id = $1
          AND ($2 IS NULL OR EXISTS (SELECT FROM hydra.subscription AS s WHERE s.id = k.subscription_id AND s.tenant_id = $2))
    FOR NO KEY UPDATE OF k
)
SELECT q.state FROM queued AS q
UNION ALL
SELECT k.state FROM kept AS k
