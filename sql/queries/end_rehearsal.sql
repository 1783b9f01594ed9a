-- Removes the rehearsal of the flow $1 on the inbound event $2 from the queue.
DELETE FROM hydra.flow_rehearsal AS r WHERE r.flow_id = $1 AND r.inbound_event_id = $2
