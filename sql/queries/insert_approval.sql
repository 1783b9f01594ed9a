-- Stores a call of the tool $2 by the API key $1 with the arguments $3, its preview $4 with the digest $5 and the varying places $6, in
-- the mode $7 and with the hash $8 of a token. Returns a row unless 50 of this key wait.
INSERT INTO hydra.approval (key_id, tool, arguments, preview, digest, varying, mode, token_hash, expires_at)
SELECT $1, $2, $3::text::json, $4::text::json, $5, $6::text::json, $7, $8, pg_catalog.now() + interval '10 min'
WHERE (SELECT pg_catalog.count(*) FROM hydra.approval AS a
       WHERE a.key_id = $1 AND a.state = 'pending' AND a.expires_at > pg_catalog.now()) < 50
RETURNING id, pg_catalog.to_jsonb(expires_at) #>> '{}' AS expires_at
