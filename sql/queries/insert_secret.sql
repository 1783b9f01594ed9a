-- Makes and stores a new secret for subscription $1, and returns it as it is stored. The secret is neither a parameter
-- nor a constant of this statement, because plans may be logged with their values.
INSERT INTO hydra.signing_secret AS k (subscription_id, secret, prefix)
SELECT $1, made.stored, made.prefix FROM hydra._new_secret($1) AS made
RETURNING k.secret
