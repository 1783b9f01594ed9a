-- Returns when the runner has something to do next; null: it has not. Rows from before $1 are to be removed, but not each as
-- soon as it is that old: they wait for an hour, so that many are removed at a time. Ids are in the order of time.
SELECT least((SELECT e.due_at FROM hydra.inbound_event AS e WHERE e.due_at IS NOT NULL ORDER BY e.due_at LIMIT 1),
             (SELECT r.queued_at FROM hydra.flow_rehearsal AS r ORDER BY r.queued_at LIMIT 1),
             (SELECT pg_catalog.now() + (first.received_at - $1) + interval '1 h'
              FROM (SELECT e.received_at FROM hydra.inbound_event AS e ORDER BY e.id LIMIT 1) AS first),
             (SELECT pg_catalog.now() + (first.started_at - $1) + interval '1 h'
              FROM (SELECT r.started_at FROM hydra.flow_run AS r ORDER BY r.id LIMIT 1) AS first)) AS due
