-- Removes approvals that are older than 30 days, at most 1000, without waiting for another gateway that does the same.
DELETE FROM hydra.approval AS a
WHERE a.id IN (SELECT old.id
               FROM hydra.approval AS old
               WHERE old.created_at < pg_catalog.now() - interval '30 days'
               ORDER BY old.created_at
               LIMIT 1000
               FOR UPDATE SKIP LOCKED)
