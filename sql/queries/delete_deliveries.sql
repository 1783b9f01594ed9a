-- Deletes the deliveries $1 from the retry queue, because they were delivered.
DELETE FROM hydra.delivery AS d WHERE d.id = ANY ($1)
