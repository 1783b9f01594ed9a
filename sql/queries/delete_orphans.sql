-- Deletes pending deliveries whose subscription was deleted while they were being written.
DELETE FROM hydra.delivery AS d
WHERE d.state = 'pending' AND NOT EXISTS (SELECT FROM hydra.subscription AS s WHERE s.id = d.subscription_id)
