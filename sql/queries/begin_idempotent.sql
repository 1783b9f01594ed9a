-- Notes that a request of the API key $1 with the Idempotency-Key $2 and the fingerprint $3 is being answered. Returns a row if
-- it is the first. Waits for another request with the same key that is being answered.
INSERT INTO hydra.api_idempotency (key_id, idempotency_key, fingerprint)
VALUES ($1, $2, $3)
ON CONFLICT DO NOTHING
RETURNING true AS is_first
