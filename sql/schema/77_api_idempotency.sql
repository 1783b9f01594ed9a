SET LOCAL search_path = pg_catalog, pg_temp;
-- Answers to requests with an Idempotency-Key, in the transaction of their effect. Only the owner of the extension reads
-- this table. No foreign key: it would lock the row of the API key for each request.
CREATE TABLE hydra.api_idempotency (
    key_id bigint NOT NULL,
    idempotency_key text NOT NULL CONSTRAINT idempotency_key_is_short CHECK (
        pg_catalog.octet_length(idempotency_key) BETWEEN 1 AND 255),
    fingerprint bytea NOT NULL CONSTRAINT fingerprint_is_sha_256 CHECK (pg_catalog.octet_length(fingerprint) = 32),
    status integer CONSTRAINT status_is_kept CHECK (status BETWEEN 200 AND 499),
    headers jsonb CONSTRAINT headers_are_pairs CHECK (pg_catalog.jsonb_typeof(headers) = 'array'),
    body bytea,
    created_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
    PRIMARY KEY (key_id, idempotency_key),
    CONSTRAINT answered_or_not CHECK (
        (status IS NULL) = (headers IS NULL) AND (status IS NULL) = (body IS NULL))
) USING heap WITH (fillfactor = 50);
-- To remove old answers.
CREATE INDEX api_idempotency_age ON hydra.api_idempotency (created_at);
COMMENT ON TABLE hydra.api_idempotency IS 'Answers to requests with an Idempotency-Key, kept for 24 hours';
COMMENT ON COLUMN hydra.api_idempotency.key_id IS 'The API key';
COMMENT ON COLUMN hydra.api_idempotency.idempotency_key IS 'The Idempotency-Key that the client chose';
COMMENT ON COLUMN hydra.api_idempotency.fingerprint IS 'SHA-256 of method, path, query and body of the request';
COMMENT ON COLUMN hydra.api_idempotency.status IS 'Status of the answer; null: the request is being answered';
COMMENT ON COLUMN hydra.api_idempotency.headers IS 'Headers of the answer, as pairs of name and value';
COMMENT ON COLUMN hydra.api_idempotency.body IS 'Body of the answer';
COMMENT ON COLUMN hydra.api_idempotency.created_at IS 'When the request came';
SET LOCAL search_path = hydra, pg_temp;
