-- Returns when the runner has an event or a rehearsal to run next, and when it has old rows to remove; null: never. Rows from before
-- $1 are to be removed, but not each as soon as it is that old: they wait for an hour, so that many are removed at a time. Ids
-- are in the order of time. An event that is tried again stays.
SELECT least((SELECT e.due_at FROM hydra.inbound_event AS e WHERE e.due_at IS NOT NULL ORDER BY e.due_at LIMIT 1),
             (SELECT r.queued_at FROM hydra.flow_rehearsal AS r ORDER BY r.queued_at LIMIT 1)) AS due,
       pg_catalog.now() + interval '1 h' + (least(
           (SELECT e.received_at FROM hydra.inbound_event AS e WHERE e.due_at IS NULL ORDER BY e.id LIMIT 1),
           (SELECT r.started_at FROM hydra.flow_run AS r ORDER BY r.id LIMIT 1),
           (SELECT m.received_at FROM hydra.mail_message AS m ORDER BY m.received_at LIMIT 1)) - $1) AS removal
