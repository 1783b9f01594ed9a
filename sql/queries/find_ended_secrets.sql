-- Returns whether there are secrets that no longer sign.
SELECT EXISTS (SELECT FROM hydra.signing_secret AS k WHERE k.valid_until < pg_catalog.now()) AS found
