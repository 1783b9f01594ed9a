-- Returns the answer that was given to a request of the API key $1 with the Idempotency-Key $2.
SELECT i.fingerprint, i.status, i.headers, i.body
FROM hydra.api_idempotency AS i
WHERE i.key_id = $1 AND i.idempotency_key = $2 AND i.status IS NOT NULL
