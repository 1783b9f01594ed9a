-- Deletes events that are finished or have moved to the retry queue, by the ctid ($1) that their rows had when they
-- were read, and returns their keys. At this ctid there may be another row in the meantime, so the caller has to
-- compare the keys.
DELETE FROM hydra.event AS e WHERE e.ctid = ANY ($1) RETURNING e.xid, e.id AS event_id
