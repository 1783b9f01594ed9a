-- Locks the delivery $1 if it is one of tenant $2, or if that is null, and returns whether it is being sent.
SELECT d.claimed_by IS NOT NULL
FROM hydra.delivery AS d
WHERE d.id = $1
      AND ($2 IS NULL OR EXISTS (SELECT FROM hydra.subscription AS s WHERE s.id = d.subscription_id AND s.tenant_id = $2))
FOR NO KEY UPDATE OF d
