-- Forgets the request of the API key $1 with the Idempotency-Key $2, which may be made again.
DELETE FROM hydra.api_idempotency AS i
WHERE i.key_id = $1 AND i.idempotency_key = $2
