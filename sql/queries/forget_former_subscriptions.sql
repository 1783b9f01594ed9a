-- Deletes the names of subscriptions that were deleted before $1 and returns their ids, at most $2. Attempts that were in
-- progress at that time ended a little later, and the last hour of its counts did too.
DELETE FROM hydra.former_subscription AS f
WHERE f.id = ANY (ARRAY(SELECT old.id FROM hydra.former_subscription AS old
                        WHERE old.deleted_at < $1 - interval '2 hours'
                        ORDER BY old.deleted_at
                        LIMIT $2))
RETURNING f.id AS subscription_id
