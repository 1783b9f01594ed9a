-- Locks the delivery $1 if it is of a webhook of tenant $2, or if that is null, and returns what identifies it, and its state, as JSON
-- text; nothing if it is being sent, nor if it has succeeded, unless $3.
WITH queued AS (
    SELECT d.id, d.subscription_id, d.event_type AS event, d.entity_type, d.entity_id, d.state, d.attempts
    FROM hydra.delivery AS d
    WHERE d.id = $1 AND d.claimed_by IS NULL
          AND ($2 IS NULL OR EXISTS (SELECT FROM hydra.subscription AS s WHERE s.id = d.subscription_id AND s.tenant_id = $2))
    FOR NO KEY UPDATE OF d
), kept AS (
    SELECT k.id, k.subscription_id, k.event_type AS event, k.entity_type, k.entity_id, 'delivered' AS state, k.attempts
    FROM hydra.delivered AS k
    WHERE k.id = $1 AND $3
          AND ($2 IS NULL OR EXISTS (SELECT FROM hydra.subscription AS s WHERE s.id = k.subscription_id AND s.tenant_id = $2))
    FOR NO KEY UPDATE OF k
)
SELECT pg_catalog.row_to_json(known)::text
FROM (SELECT q.* FROM queued AS q UNION ALL SELECT k.* FROM kept AS k) AS known
