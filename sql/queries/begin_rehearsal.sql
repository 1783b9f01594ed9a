-- Counts an attempt of the rehearsal that has waited longest, and returns it, with the number of attempts with this one.
UPDATE hydra.flow_rehearsal AS r SET attempts = r.attempts + 1
WHERE (r.flow_id, r.inbound_event_id) = (SELECT next.flow_id, next.inbound_event_id FROM hydra.flow_rehearsal AS next
                                         ORDER BY next.queued_at
                                         LIMIT 1
                                         FOR NO KEY UPDATE SKIP LOCKED)
RETURNING r.flow_id, r.inbound_event_id, r.argument, r.tenant_id, r.attempts
