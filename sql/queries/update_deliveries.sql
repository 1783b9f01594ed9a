-- Records the results of those deliveries of $1 that this run of the dispatcher ($5) has claimed, and releases their
-- claims. $2: number of attempts; null: no attempt was made, and the delivery is unchanged. $3: when the first attempt
-- of the schedule was made. $4: when the next attempt is due; null: the delivery has failed.
UPDATE hydra.delivery AS d
SET claimed_by = NULL,
    attempts = coalesce(u.attempts, d.attempts),
    scheduled_at = coalesce(u.scheduled_at, d.scheduled_at),
    due_at = CASE WHEN u.attempts IS NULL THEN d.due_at ELSE u.due_at END,
    state = CASE WHEN u.attempts IS NULL OR u.due_at IS NOT NULL THEN 'pending' ELSE 'failed' END,
    missed = d.missed AND u.attempts IS NULL,
    failed_at = CASE WHEN u.attempts IS NOT NULL AND u.due_at IS NULL THEN pg_catalog.now() END
FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2), pg_catalog.unnest($3), pg_catalog.unnest($4))
     AS u (id, attempts, scheduled_at, due_at)
WHERE d.id = u.id AND d.claimed_by = $5
