-- Keeps the answer to the request of the API key $1 with the Idempotency-Key $2: status $3, headers $4, body $5.
UPDATE hydra.api_idempotency AS i
SET status = $3, headers = $4, body = $5
WHERE i.key_id = $1 AND i.idempotency_key = $2
