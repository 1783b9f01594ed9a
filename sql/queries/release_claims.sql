-- Releases all claims. A dispatcher runs this when it starts, so that deliveries which the former dispatcher was
-- sending are sent again.
UPDATE hydra.delivery AS d SET claimed_by = NULL WHERE d.claimed_by IS NOT NULL
