-- Forgets what deliveries waited for. A dispatcher runs this when it starts: it does not know, and tries again.
UPDATE hydra.subscription_health AS h SET waiting_for = NULL WHERE h.waiting_for IS NOT NULL
