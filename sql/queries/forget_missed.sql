-- Deletes what subscriptions that are not active missed and that was emitted before $1, counts it, and returns the
-- subscriptions. At most $2 rows.
WITH removed AS (
    DELETE FROM hydra.delivery AS d
    WHERE d.id = ANY (ARRAY(SELECT old.id
                            FROM hydra.subscription AS s,
                                 LATERAL (SELECT m.id FROM hydra.delivery AS m
                                          WHERE m.subscription_id = s.id AND m.missed AND m.emitted_at < $1
                                          ORDER BY m.emitted_at
                                          LIMIT $2) AS old
                            WHERE s.status <> 'active'
                            LIMIT $2))
    RETURNING d.subscription_id
), counted AS (
    INSERT INTO hydra.subscription_health AS h (subscription_id, consecutive_failures, missed_removed)
    SELECT r.subscription_id, 0, pg_catalog.count(*)
    FROM removed AS r
    GROUP BY r.subscription_id
    ON CONFLICT (subscription_id) DO UPDATE SET missed_removed = h.missed_removed + excluded.missed_removed
)
SELECT r.subscription_id FROM removed AS r
