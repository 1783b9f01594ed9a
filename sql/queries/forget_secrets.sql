-- Deletes the secrets that no longer sign, and returns their ids. They are of no use to anybody but a thief.
DELETE FROM hydra.signing_secret AS k WHERE k.valid_until < pg_catalog.now() RETURNING k.id AS secret_id
