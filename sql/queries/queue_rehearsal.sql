-- Queues a rehearsal of the flow $1 on the inbound event $2, with the argument $3, in the tenant $4.
INSERT INTO hydra.flow_rehearsal (flow_id, inbound_event_id, argument, tenant_id)
VALUES ($1, $2, $3, $4)
ON CONFLICT (flow_id, inbound_event_id) DO NOTHING
