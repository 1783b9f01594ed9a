-- Releases all claims. A dispatcher runs this when it starts: what an earlier one had in flight is sent again.
UPDATE hydra.delivery AS d SET claimed_by = NULL WHERE d.claimed_by IS NOT NULL
