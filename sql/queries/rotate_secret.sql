-- Gives subscription $1 a new signing secret and returns it; for the time $2, the former one signs too.
SELECT hydra.webhook_rotate_secret($1, $2::text::interval)
