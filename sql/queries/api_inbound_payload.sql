-- Returns what came with the inbound event $1, as it came.
SELECT e.payload::text FROM hydra.inbound_event AS e WHERE e.id = $1::text::bigint
