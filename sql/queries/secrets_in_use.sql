-- Returns the secrets of subscription $1 that sign now, as they are stored, and whether it signs for Standard Webhooks.
SELECT ARRAY(SELECT k.secret FROM hydra.signing_secret AS k
             WHERE k.subscription_id = s.id AND (k.valid_until IS NULL OR k.valid_until > pg_catalog.now())) AS stored,
       'standard' = ANY (s.signatures) AS is_standard
FROM hydra.effective_subscription AS s
WHERE s.id = $1
