-- What is pending for subscriptions that are gone.
DELETE FROM hydra.delivery AS d
WHERE d.subscription_id = ANY ($1) AND d.state = 'pending'
  AND NOT EXISTS (SELECT FROM hydra.subscription AS s WHERE s.id = d.subscription_id)
