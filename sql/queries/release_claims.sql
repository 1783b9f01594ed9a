-- Claims of dispatchers before this one: what they had in flight is sent again.
UPDATE hydra.delivery AS d SET claimed_by = NULL WHERE d.claimed_by IS NOT NULL
