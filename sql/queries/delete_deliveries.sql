-- Deletes the deliveries $1, which have succeeded, from the retry queue.
DELETE FROM hydra.delivery AS d WHERE d.id = ANY ($1)
