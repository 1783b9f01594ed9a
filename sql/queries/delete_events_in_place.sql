-- Deletes events that are finished or have moved to the retry queue, found by the place ($1, ctid) that their rows had when
-- they were read, and returns their keys. A place may hold another row by now, so the caller has to compare the keys.
DELETE FROM hydra.event AS e WHERE e.ctid = ANY ($1) RETURNING e.xid, e.id AS event_id
