-- Deletes the pending deliveries of those subscriptions of $1 that no longer exist.
DELETE FROM hydra.delivery AS d
WHERE d.subscription_id = ANY ($1) AND d.state = 'pending'
  AND NOT EXISTS (SELECT FROM hydra.subscription AS s WHERE s.id = d.subscription_id)
