-- Deletes pending deliveries that were written while their subscription was being deleted.
DELETE FROM hydra.delivery AS d
WHERE d.state = 'pending' AND NOT EXISTS (SELECT FROM hydra.subscription AS s WHERE s.id = d.subscription_id)
