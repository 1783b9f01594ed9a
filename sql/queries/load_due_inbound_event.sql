-- Returns an inbound event that the runner has claimed, and locks it until the end of the transaction; with the number of its
-- attempts before this one, which is counted already. Returns nothing if it is not due any more, or is being processed.
SELECT e.adapter_id, e.external_id, e.external_type, e.payload::text AS payload, e.emitted, e.attempts - 1 AS attempts, e.hops,
       e.received_at
FROM hydra.inbound_event AS e
WHERE e.id = $1 AND e.due_at IS NOT NULL AND e.attempts > 0
FOR NO KEY UPDATE SKIP LOCKED
